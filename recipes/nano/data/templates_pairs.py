"""The wordings of questions about boxes and about several pictures; see `templates.py`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wordings:
    """Ways to ask for one thing."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


BOXES_AND_PAIRS = {
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
