"""The wordings of questions. `held_out` wordings are asked in evaluation only, for about half of its questions.

Fields: {a} `a dog`, {the} `the dog`, {plural} `dogs`,
{is} and {does} as {the} or {a} asks (`are`, `do` for `the scissors`), {where} one of POSITIONS, {box} `[1, 2, 3, 4]`.
"""

import random
from dataclasses import dataclass

from recipes.nano.data.sample import Split
from recipes.nano.data.words import is_plural


@dataclass(frozen=True)
class Wordings:
    """Ways to ask for one thing."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


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
        ),
        ("Tell me about this picture.", "Summarize the image in words.", "How would you describe what is shown?"),
    ),
    "box": Wordings(
        (
            "Where {is} {the}? Give its box.",
            "Give the box of {the}.",
            "Locate {the} with a box.",
            "What is the bounding box of {the}?",
            "Find {the} and give its box.",
            "Box of {the}?",
            "Draw a box around {the}.",
            "Give the coordinates of {the}.",
        ),
        (
            "Which box holds {the}?",
            "Mark {the} with its bounding box.",
            "State the box that holds {the}.",
        ),
    ),
    "in_box": Wordings(
        (
            "What is in {box}?",
            "What is inside the box {box}?",
            "Name the object in {box}.",
            "What does the box {box} contain?",
            "Which object is at {box}?",
            "What do you see in {box}?",
            "{box}: what is it?",
        ),
        ("Tell me what lies within {box}.", "What would one find in {box}?", "Identify the thing at {box}."),
    ),
    "exists_box": Wordings(
        (
            "{Is} there {a} in {box}?",
            "Do you see {a} in {box}?",
            "Does {box} contain {a}?",
            "Is it {a} that is in {box}?",
            "{Is} {a} inside {box}?",
            "Can {a} be seen in {box}?",
        ),
        ("Does {box} hold {a}?", "Would one find {a} in {box}?", "Is the thing at {box} {a}?"),
    ),
    "which": Wordings(
        (
            "Which picture shows {a}?",
            "Which image has {a}?",
            "In which picture {is} {a}?",
            "Which of the pictures contains {a}?",
            "Where {is} {a}: in which picture?",
            "Find the picture with {a}. Which is it?",
        ),
        ("Which one has {a} in it?", "{A} appears in which image?", "Point out the picture that shows {a}."),
    ),
    "what_in": Wordings(
        (
            "What is in the {nth} picture?",
            "What does the {nth} image show?",
            "Name what is in the {nth} picture.",
            "What do you see in the {nth} image?",
            "Look at the {nth} picture. What is there?",
            "What can be seen in the {nth} picture?",
        ),
        (
            "Tell me what the {nth} image contains.",
            "What appears in the {nth} one?",
            "And the {nth} picture: what is it of?",
        ),
    ),
    "exists_in": Wordings(
        (
            "{Is} there {a} in the {nth} picture?",
            "Does the {nth} picture show {a}?",
            "Do you see {a} in the {nth} image?",
            "Can {a} be seen in the {nth} picture?",
            "Look at the {nth} image. {Is} there {a}?",
            "Does the {nth} image contain {a}?",
        ),
        ("Has the {nth} picture got {a} in it?", "{Does} {a} appear in the {nth} one?", "Does the {nth} one show {a}?"),
    ),
    "same": Wordings(
        (
            "Do both pictures show the same {aspect}?",
            "Is the {aspect} the same in both pictures?",
            "Is the {aspect} the same in the two images?",
            "Do the pictures have the same {aspect}?",
            "Compare the pictures: is the {aspect} the same?",
            "Do the two images agree in {aspect}?",
        ),
        (
            "Are the two pictures alike in {aspect}?",
            "Does the {aspect} stay the same from one picture to the other?",
            "Would you say the {aspect} is equal in both?",
        ),
    ),
    "differs": Wordings(
        (
            "What is different: the color, the shape or the number?",
            "What differs between the pictures, the color, the shape or the number?",
            "Compare the pictures. Is it the color, the shape or the number that differs?",
            "What changes from the first picture to the second: color, shape or number?",
            "The pictures differ in one thing: color, shape or number. Which?",
            "In what do the two images differ, in color, shape or number?",
        ),
        (
            "Find the difference: color, shape or number?",
            "What has changed, the color, the shape or the number?",
            "One of color, shape and number is not the same. Which one?",
        ),
    ),
    "more": Wordings(
        (
            "Which picture has more {plural}?",
            "Which image shows more {plural}?",
            "Where are more {plural}, in which picture?",
            "In which picture are there more {plural}?",
            "Which of the two has more {plural}?",
            "Compare the pictures. Which has more {plural}?",
        ),
        (
            "Which one contains the larger number of {plural}?",
            "More {plural}: in which image?",
            "Which image has the most {plural}?",
        ),
    ),
    "count_in": Wordings(
        (
            "How many {plural} are in the {nth} picture?",
            "Count the {plural} in the {nth} image.",
            "How many {plural} does the {nth} picture show?",
            "What is the number of {plural} in the {nth} picture?",
            "How many {plural} can you see in the {nth} image?",
            "In the {nth} picture, how many {plural} are there?",
        ),
        (
            "What number of {plural} has the {nth} picture?",
            "How many {plural} appear in the {nth} one?",
            "Give the count of {plural} in the {nth} image.",
        ),
    ),
}
