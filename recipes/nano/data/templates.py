"""The wordings of questions. `held_out` wordings are asked in evaluation only, for about half of its questions.

Fields: {a} `a dog`, {the} `the dog`, {plural} `dogs`,
{is} and {does} as {the} or {a} asks (`are`, `do` for `the scissors`), {where} one of POSITIONS, {box} `[1, 2, 3, 4]`.
"""

import random

from recipes.nano.data.sample import Split
from recipes.nano.data.templates_pairs import BOXES_AND_PAIRS, Wordings
from recipes.nano.data.words import is_plural


def ask(rng: random.Random, split: Split, key: str, **fields: str) -> str:
    """One wording of TEMPLATES[key], filled in. {The} is {the} with a capital."""
    wordings = TEMPLATES[key]
    many = is_plural(fields.get("the") or fields.get("a") or "one")
    fields = {"is": "are" if many else "is", "does": "do" if many else "does", **fields}
    chosen = wordings.held_out if split == "held_out" and rng.random() < 0.5 else wordings.train
    capitals = {name.capitalize(): value[:1].upper() + value[1:] for name, value in fields.items()}
    return rng.choice(chosen).format(**fields, **capitals)


TEMPLATES = {
    "name": Wordings(
        (
            "What is this?",
            "What is in the picture?",
            "What does the picture show?",
            "What is shown here?",
            "Name the object.",
            "What do you see?",
            "What can be seen in this image?",
            "Which object is this?",
            "What is the main object?",
            "Can you name this?",
            "Can you say what is shown in this picture?",
            "Could you tell me what the object is?",
            "Tell me what this is.",
            "What's this?",
            "What am I seeing here?",
            "Please name what is in the image.",
            "What is the thing in the photo?",
            "Do you know what this is?",
            "Which animal or thing is this?",
        ),
        ("Can you tell me what this is?", "What am I looking at?", "Identify the object in the image."),
    ),
    "either": Wordings(
        (
            "Is this {first} or {second}?",
            "Does the picture show {first} or {second}?",
            "What is it, {first} or {second}?",
            "Which one is shown: {first} or {second}?",
            "Do you see {first} or {second}?",
            "{First} or {second}: which is it?",
        ),
        (
            "Would you say this is {first} or {second}?",
            "Is {first} or {second} in the image?",
            "Choose: {first} or {second}?",
        ),
    ),
    "category": Wordings(
        (
            "Is this {a}?",
            "Does the picture show {a}?",
            "Is the object {a}?",
            "{Is} {a} shown here?",
            "Would you call this {a}?",
            "Is it {a}?",
        ),
        ("Can this be called {a}?", "Is what you see {a}?", "Does the thing here count as {a}?"),
    ),
    "colour": Wordings(
        (
            "What color {is} {the}?",
            "Which color {does} {the} have?",
            "What is the color of {the}?",
            "Name the color of {the}.",
            "Tell me the color of {the}.",
            "{The} {is} what color?",
            "Of what color {is} {the}?",
            "What colour {is} {the}?",
            "Can you tell me the color of {the}?",
            "How would you name the color of {the}?",
            "Please say which color {the} {is}.",
        ),
        ("How {is} {the} colored?", "In which color {is} {the} drawn?", "Can you say what color {the} has?"),
    ),
    "colour_at": Wordings(
        (
            "What color is the shape {where}?",
            "Which color does the shape {where} have?",
            "What is the color of the shape {where}?",
            "There is a shape {where}. What color is it?",
            "Name the color of the shape {where}.",
            "Look {where}: what color is the shape there?",
            "Can you tell me the color of the shape {where}?",
            "What colour has the shape {where}?",
            "Say what color the shape {where} is.",
        ),
        (
            "How is the shape {where} colored?",
            "Tell me which color you see on the shape {where}.",
            "The shape {where} has what color?",
        ),
    ),
    "background": Wordings(
        (
            "What color is the background?",
            "What is the color of the background?",
            "Which color does the background have?",
            "Name the background color.",
            "What color is behind the objects?",
            "What is the background color?",
            "What colour is the background?",
            "Can you tell me the color of the background?",
            "In front of what color are the things shown?",
        ),
        ("How is the background colored?", "Against which color is it shown?", "What color fills the background?"),
    ),
    "shape": Wordings(
        (
            "What shape is {colour}?",
            "What is the shape of the {colour} one?",
            "Which shape is {colour}?",
            "What shape does the {colour} figure have?",
            "Name the {colour} shape.",
            "Which {colour} shape is there?",
            "What kind of shape is {colour}?",
            "Can you name the shape that is {colour}?",
            "Tell me the shape of the {colour} thing.",
        ),
        ("What kind of shape is the {colour} figure?", "What form is {colour}?", "The {colour} shape is a what?"),
    ),
    "shape_at": Wordings(
        (
            "What shape is {where}?",
            "Which shape is {where}?",
            "What is the shape of the figure {where}?",
            "Name the shape {where}.",
            "There is a shape {where}. Which one?",
            "Look {where}: what shape is there?",
            "Can you tell me which shape is {where}?",
            "What is the form of the thing {where}?",
            "Tell me the shape that you see {where}.",
        ),
        ("What kind of shape is {where}?", "Which form can be seen {where}?", "The figure {where} has what shape?"),
    ),
    "count_all": Wordings(
        (
            "How many {plural} are there?",
            "How many {plural} are in the picture?",
            "Count the {plural}.",
            "How many {plural} can you see?",
            "What is the number of {plural}?",
            "How many {plural} does the image show?",
            "Tell me how many {plural} there are.",
            "Can you count the {plural}?",
            "Could you tell me how many {plural} there are?",
            "How many {plural} do you see?",
            "{Plural}: how many?",
        ),
        ("What number of {plural} do you count?", "How many {plural} appear here?", "Give the count of {plural}."),
    ),
    "position": Wordings(
        (
            "Where {is} {the}?",
            "Where in the picture {is} {the}?",
            "Where do you see {the}?",
            "In which part of the image {is} {the}?",
            "At what place {is} {the}?",
            "Say where {the} {is}.",
            "Find {the}. Where is it?",
            "What is the position of {the}?",
            "Can you say where {the} {is}?",
            "Could you tell me the place of {the}?",
            "Tell me where {the} {is} in the image.",
            "{The}: where in the picture?",
        ),
        (
            "Whereabouts {is} {the}?",
            "Can you tell me where {the} can be found?",
            "In what area of the picture {does} {the} appear?",
        ),
    ),
    "at": Wordings(
        (
            "What is {where}?",
            "What do you see {where}?",
            "Which object is {where}?",
            "What can be seen {where}?",
            "Name the object {where}.",
            "What is there {where}?",
            "What is shown {where}?",
            "Can you tell me what is {where}?",
            "Could you name the thing {where}?",
            "Tell me what is {where}.",
            "Which thing is {where}?",
        ),
        ("Which thing appears {where}?", "Tell me what you find {where}.", "What has been placed {where}?"),
    ),
    "beside": Wordings(
        (
            "What is {beside} {the}?",
            "Which object is {beside} {the}?",
            "What do you see {beside} {the}?",
            "Name what is {beside} {the}.",
            "What can be found {beside} {the}?",
            "Look {beside} {the}: what is there?",
        ),
        ("Which thing appears {beside} {the}?", "What lies {beside} {the}?", "Tell me what is {beside} {the}."),
    ),
    "is_beside": Wordings(
        (
            "{Is} {the} {beside} {other}?",
            "Can {the} be seen {beside} {other}?",
            "Is it true that {the} {is} {beside} {other}?",
            "Do you see {the} {beside} {other}?",
            "{Is} {the} placed {beside} {other}?",
            "{The} {is} {beside} {other}. Is that right?",
            "Can you say whether {the} {is} {beside} {other}?",
            "Does the picture show {the} {beside} {other}?",
        ),
        (
            "{Does} {the} appear {beside} {other}?",
            "Would you say {the} {is} {beside} {other}?",
            "True or not: {the} {is} {beside} {other}?",
        ),
    ),
    "side": Wordings(
        (
            "{Is} {the} {one} or {two} {other}?",
            "{The}: {one} or {two} {other}?",
            "Where {is} {the}, {one} or {two} {other}?",
            "On which side {is} {the}, {one} or {two} {other}?",
            "Do you see {the} {one} or {two} {other}?",
            "Would you find {the} {one} or {two} {other}?",
        ),
        (
            "Which is right: {the} {is} {one} or {two} {other}?",
            "{Does} {the} appear {one} or {two} {other}?",
            "Seen from {other}, {is} {the} {one} or {two} it?",
        ),
    ),
    "size": Wordings(
        (
            "Which is {more}, {first} or {second}?",
            "What is {more}, {first} or {second}?",
            "Which one is {more}: {first} or {second}?",
            "Is {first} or {second} {more}?",
            "Compare {first} and {second}. Which is {more}?",
            "Of {first} and {second}, which is {more}?",
            "Can you tell me which is {more}, {first} or {second}?",
            "Tell me which of them is {more}: {first} or {second}.",
        ),
        (
            "Between {first} and {second}, which looks {more}?",
            "Which appears {more} here, {first} or {second}?",
            "Say which is {more}: {first} or {second}.",
        ),
    ),
    "most": Wordings(
        (
            "What is the {most} object?",
            "Which object is the {most}?",
            "Name the {most} object in the picture.",
            "Which thing is {most}?",
            "What is the {most} thing you see?",
            "Which one is the {most} of all?",
        ),
        ("What looks {most} here?", "Of all the objects, which is {most}?", "Tell me the {most} of the objects."),
    ),
    "exists": Wordings(
        (
            "{Is} there {a}?",
            "{Is} there {a} in the picture?",
            "Do you see {a}?",
            "Does the image show {a}?",
            "Can you see {a}?",
            "{Is} {a} in the image?",
            "Does the picture contain {a}?",
            "{Is} {a} to be seen here?",
            "Can you tell me whether there {is} {a}?",
            "{Is} {a} part of the picture?",
            "Does this image contain {a}?",
            "Do you notice {a} here?",
        ),
        ("Can {a} be found in the image?", "{Does} {a} appear anywhere?", "Has the picture got {a} in it?"),
    ),
    "exists_at": Wordings(
        (
            "{Is} there {a} {where}?",
            "Do you see {a} {where}?",
            "{Is} {a} {where}?",
            "Can you see {a} {where}?",
            "Does the image show {a} {where}?",
            "Look {where}. {Is} there {a}?",
        ),
        ("{Does} {a} appear {where}?", "Can {a} be found {where}?", "Have we got {a} {where}?"),
    ),
    "list": Wordings(
        (
            "List the objects from {order}.",
            "What is in the picture, from {order}?",
            "Name everything you see from {order}.",
            "Which objects are there? Go from {order}.",
            "From {order}, what do you see?",
            "Name the objects from {order}.",
        ),
        (
            "Going from {order}, what are the objects?",
            "Tell me all the things here, {order}.",
            "What does the image contain, read from {order}?",
        ),
    ),
    "caption": Wordings(
        (
            "Describe the picture.",
            "Describe this image.",
            "What does the picture show? Answer in a sentence.",
            "Write a caption for the image.",
            "Give a short description of the picture.",
            "Say what is in the picture and where.",
            "Caption this.",
            "Please describe what you see.",
            "What is in this image?",
            "Can you describe the picture?",
            "Could you say what this picture shows, in a sentence?",
            "What does this photo show?",
        ),
        ("Tell me about this picture.", "Summarize the image in words.", "How would you describe what is shown?"),
    ),
    **BOXES_AND_PAIRS,
}
