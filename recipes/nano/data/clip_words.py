"""How questions about clips are put: per topic, wordings of training, and wordings that only evaluation uses."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from recipes.nano.data.sample import Question, Split


@dataclass(frozen=True)
class Wordings:
    """Ways to ask one thing. `{x}` and the like are filled in."""

    kind: str
    train: Sequence[str]
    held_out: Sequence[str]


TOPICS = {
    "direction": Wordings(
        "motion",
        (
            "Which way does {x} move?",
            "In which direction does {x} move?",
            "Where is {x} going?",
            "What is the direction of {x}'s movement?",
            "{X} moves. Which way?",
            "Which way is {x} heading?",
        ),
        (
            "Towards which side does {x} travel?",
            "Tell me the direction {x} goes in.",
            "How does {x} move across?",
        ),
    ),
    "first direction": Wordings(
        "motion",
        (
            "Which way does {x} move first?",
            "Which way does {x} move at the beginning?",
            "In which direction does {x} start to move?",
            "{X} starts to move. Which way?",
        ),
        ("What is the first direction {x} goes in?", "Towards which side does {x} set off?"),
    ),
    "last direction": Wordings(
        "motion",
        (
            "Which way does {x} move at the end?",
            "In which direction does {x} move last?",
            "Which way does {x} go after turning back?",
            "{X} turns back. Which way does it move then?",
        ),
        ("What is the last direction {x} goes in?", "Towards which side does {x} travel in the end?"),
    ),
    "axis": Wordings(
        "motion",
        (
            "Does {x} move {a} or {b}?",
            "Is {x} moving {a} or {b}?",
            "Does {x} go {a} or {b}?",
            "{X} moves. Is it {a} or {b}?",
        ),
        ("Which is it, does {x} travel {a} or {b}?", "{A} or {b}: which way does {x} move?"),
    ),
    "camera": Wordings(
        "motion",
        (
            "Which way does the camera move?",
            "In which direction does the camera pan?",
            "Which way is the camera turning?",
            "Where does the view move?",
        ),
        ("Towards which side does the camera travel?", "What is the direction of the camera's movement?"),
    ),
    "growth": Wordings(
        "event",
        ("Does {x} grow or shrink?", "Does {x} get larger or smaller?", "How does the size of {x} change?"),
        ("Is {x} growing or shrinking?", "What happens to the size of {x}?"),
    ),
    "fate": Wordings(
        "event",
        (
            "What happens to {x}?",
            "What does {x} do?",
            "What changes about {x}?",
            "How does {x} behave?",
            "What is {x} doing in this video?",
            "What can be seen of {x} in this clip?",
        ),
        (
            "Tell me what becomes of {x}.",
            "What do you notice about {x}?",
            "What does {x} do during the clip?",
        ),
    ),
    "first": Wordings(
        "event",
        (
            "What happens first?",
            "What is the first thing that happens?",
            "What happens at the beginning?",
            "Which event comes first?",
            "What is the first change?",
            "What do you see happen first?",
        ),
        ("With what does it begin?", "Name the first event.", "What takes place before anything else?"),
    ),
    "last": Wordings(
        "event",
        (
            "What happens last?",
            "What is the last thing that happens?",
            "What happens at the end?",
            "Which event comes last?",
            "What is the last change?",
            "What do you see happen last?",
        ),
        ("With what does it end?", "Name the last event.", "What takes place after everything else?"),
    ),
    "after": Wordings(
        "event",
        (
            "What happens right after {e}?",
            "What happens after {e}?",
            "{E}. What happens next?",
            "What comes next after {e}?",
        ),
        ("Which event follows when {e}?", "Once {e}, what is the next thing to happen?"),
    ),
    "before": Wordings(
        "event",
        (
            "What happens right before {e}?",
            "What happens before {e}?",
            "{E}. What happened just before that?",
            "What comes just before {e}?",
        ),
        ("Which event precedes this one: {e}?", "What is the last thing to happen until {e}?"),
    ),
    "order": Wordings(
        "order",
        (
            "In what order do things happen?",
            "What happens, in order?",
            "List the events in order.",
            "Give the order of the events.",
            "Say what happens, one thing after the other.",
            "Which things happen, from first to last?",
        ),
        ("Put the events of this clip in order.", "What is the sequence of events?", "Recount in order what happens."),
    ),
    "sooner": Wordings(
        "order",
        (
            "What happens first: {a} or {b}?",
            "Which comes first: {a} or {b}?",
            "Which happens earlier: {a} or {b}?",
        ),
        ("Which is the earlier event: {a} or {b}?", "Of these two, which happens first: {a} or {b}?"),
    ),
    "when": Wordings(
        "when",
        (
            "When does {x} {do}?",
            "At what time does {x} {do}?",
            "At which second does {x} {do}?",
            "Give the time when {e}.",
            "How many seconds into the video does {x} {do}?",
            "{E}. When is that?",
            "Tell me the time at which {e}.",
        ),
        ("At what point in the clip does {x} {do}?", "How far in does {x} {do}?", "What is the moment when {e}?"),
    ),
    "span": Wordings(
        "when",
        (
            "From when to when is {x} visible?",
            "During which time is {x} visible?",
            "When can {x} be seen?",
            "From when to when is {x} in view?",
            "Give the time span in which {x} is visible.",
        ),
        ("Between which times is {x} on screen?", "For what stretch of time does {x} show?", "Mark when {x} is there."),
    ),
    "appear count": Wordings(
        "video_count",
        (
            "How many {xs} appear in all?",
            "How many {xs} are there in the whole video?",
            "Count the {xs} that appear.",
            "What is the total number of {xs} shown?",
        ),
        ("Altogether, how many {xs} turn up?", "Over the whole clip, how many different {xs} show?"),
    ),
    "blink count": Wordings(
        "video_count",
        (
            "How many times does {x} blink?",
            "How often does {x} vanish and come back?",
            "Count how many times {x} blinks.",
            "How many times does {x} go away and return?",
        ),
        ("What is the number of blinks of {x}?", "How often is {x} gone for a moment?"),
    ),
    "event count": Wordings(
        "video_count",
        (
            "How many things happen?",
            "How many events are there?",
            "Count the changes in this video.",
            "How many changes do you see?",
        ),
        ("What is the number of events?", "How many different things take place?"),
    ),
    "change count": Wordings(
        "video_count",
        (
            "How many times does {x} change?",
            "How often does {x} change?",
            "Count how many times {x} changes.",
        ),
        ("What is the number of changes of {x}?", "How many changes of {x} are there?"),
    ),
    "caption": Wordings(
        "video_caption",
        (
            "Describe the video.",
            "What happens in this video?",
            "Describe what you see in the clip.",
            "Write a short caption for this video.",
            "Summarise the clip.",
            "Say in a sentence or two what the video shows.",
            "What is this video about?",
        ),
        ("Give a short account of the clip.", "Tell me what is going on here.", "Put this video into words."),
    ),
    "does": Wordings(
        "yes_no",
        (
            "Does {x} {do}?",
            "Does {x} {do} in the video?",
            "Is it true that {e}?",
            "Can you see that {e}?",
            "Do you see {x} {do}?",
            "Does it happen that {e}?",
        ),
        ("Would you say that {e}?", "Is it right that {e}?", "In this clip, does {x} {do}?"),
    ),
    "earlier": Wordings(
        "yes_no",
        (
            "Is this order right: first {a}, then {b}?",
            "Is it true that {a} before {b}?",
            "Do we see that {a} before {b}?",
        ),
        ("Does it go like this: {a}, then {b}?", "Would you say that {a} earlier than {b}?"),
    ),
    "seen at end": Wordings(
        "yes_no",
        (
            "Is {x} visible at the end?",
            "Is {x} still there at the end?",
            "Can {x} be seen in the last frame?",
        ),
        ("When the clip ends, is {x} in view?", "Does the last frame show {x}?"),
    ),
    "colour at": Wordings(
        "colour",
        (
            "What colour is {x} {at}?",
            "Which colour is {x} {at}?",
            "What is the colour of {x} {at}?",
            "{At}, what colour is {x}?",
            "Name the colour of {x} {at}.",
            "Which colour does {x} have {at}?",
        ),
        ("{At}, which colour does {x} show?", "Tell me the colour of {x} {at}.", "How is {x} coloured {at}?"),
    ),
    "position at": Wordings(
        "position",
        (
            "Where is {x} {at}?",
            "In which part of the picture is {x} {at}?",
            "{At}, where is {x}?",
            "Where can {x} be found {at}?",
            "What is the position of {x} {at}?",
            "Where do you see {x} {at}?",
        ),
        ("{At}, in what place is {x}?", "Whereabouts is {x} {at}?", "Tell me the place of {x} {at}."),
    ),
    "who": Wordings(
        "name",
        (
            "What {does}?",
            "Which thing {does}?",
            "What is it that {does}?",
            "Name the thing that {does}.",
            "Which object {does}?",
            "Something {does}. What is it?",
        ),
        ("Can you name what {does}?", "Identify the thing that {does}.", "What do you see that {does}?"),
    ),
    "how many at": Wordings(
        "count",
        (
            "How many {xs} are visible {at}?",
            "How many {xs} are there {at}?",
            "{At}, how many {xs} are in view?",
            "Count the {xs} {at}.",
            "What is the number of {xs} {at}?",
            "How many {xs} can you see {at}?",
        ),
        (
            "{At}, how many {xs} do you count?",
            "Give the number of {xs} {at}.",
            "How many {xs} does it show {at}?",
        ),
    ),
    "what changes": Wordings(
        "event",
        (
            "What changes on the screen?",
            "Which part of the screen changes?",
            "What is different from moment to moment?",
            "What does not stay the same?",
        ),
        ("Where on the screen is there a change?", "Which element of the screen does not stand still?"),
    ),
    "reads at": Wordings(
        "read",
        (
            "What does {x} say {at}?",
            "What is written in {x} {at}?",
            "Read {x} {at}.",
            "{At}, what does {x} show?",
            "What does {x} show {at}?",
            "Which value does {x} have {at}?",
        ),
        ("{At}, what can be read in {x}?", "What is {x} reading {at}?", "Tell me the contents of {x} {at}."),
    ),
}


def ask(rng: random.Random, split: Split, topic: str, answer: str, **words: str) -> Question:
    """A question of the topic, with its answer. Half of the held-out split's use held-out wordings.

    A word `x` may be written `{X}` where it begins a sentence.
    """
    wordings = TOPICS[topic]
    held_out = split == "held_out" and rng.random() < 0.5
    text = rng.choice(wordings.held_out if held_out else wordings.train)
    capitals = {key[0].upper() + key[1:]: capital(value) for key, value in words.items()}
    return Question(wordings.kind, text.format(**words, **capitals), answer)


def a_(name: str) -> str:
    """`a dog`, `an apple`, `the word EXIT`."""
    if name.startswith("word "):
        return f"the {name}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[0].upper() + text[1:]


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
