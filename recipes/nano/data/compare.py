"""Two or three small pictures: which shows a thing, what a picture shows, what is the same and what differs."""

import random
from collections.abc import Callable

from recipes.nano.data.asking import Asked, other_than
from recipes.nano.data.canvas import Scene, picture_size
from recipes.nano.data.composing import choose_picture, choose_shape, choose_things, render
from recipes.nano.data.pool import Picture, Pool
from recipes.nano.data.sample import Question, Sample, Split
from recipes.nano.data.words import COLOURS, NUMBERS, ORDINALS, SHAPES, a, plural

ASPECTS = ("color", "shape", "number")


def compare(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """One of the three ways below."""
    way: Callable[[random.Random, Pool, Split], Sample] = rng.choice((which, same, more))
    return way(rng, pool, split)


def draw(rng: random.Random, pool: Pool, what: list[Picture] | list[tuple[str, str]]) -> Scene:
    """A small picture of some things."""
    return render(rng, pool, picture_size(rng, 128, 176), what)


def finish(asked: Asked, scenes: list[Scene], questions: list[Question]) -> Sample:
    """The sample, its questions shuffled."""
    shuffled = asked.rng.sample(questions, len(questions))
    unique = {question.text: question for question in shuffled}
    return Sample(questions=list(unique.values()), images=[scene.image for scene in scenes])


def which(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """Different things, one a picture: which picture shows it, and what a picture shows."""
    things = choose_things(rng, pool, rng.randint(2, 3), shapes=0.3)
    rng.shuffle(things)
    scenes = [render(rng, pool, picture_size(rng, 128, 176), [thing]) for thing in things]
    shown = [scene.things[0] for scene in scenes]
    whole = Scene(scenes[0].image, shown, None)
    asked = Asked(rng, whole, pool, split)
    questions = []
    for place in rng.sample(range(len(shown)), 2):
        questions.append(asked.question("compare", "which", f"the {ORDINALS[place]}", a=a(shown[place].text)))
    for place in rng.sample(range(len(shown)), 2):
        questions.append(asked.question("compare", "what_in", a(shown[place].text), nth=ORDINALS[place]))
    place = rng.randrange(len(shown))
    text: str | None = shown[place].text
    if rng.random() < 0.5:
        others = [thing for thing in shown if thing is not shown[place]]
        text = rng.choice(others).text if rng.random() < 0.6 else other_than(asked, shown[place])
    if text is not None:
        answer = "yes" if text == shown[place].text else "no"
        questions.append(asked.question("yes_no", "exists_in", answer, a=a(text), nth=ORDINALS[place]))
    return finish(asked, scenes, questions)


def same(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """Two pictures of equal shapes, each of whose color, shape and number is the same or not by the toss of a coin."""
    if rng.random() < 0.35:
        return same_object(rng, pool, split)
    colour, shape = choose_shape(rng)
    number = rng.randint(1, 4)
    keep = {aspect: rng.random() < 0.5 for aspect in ASPECTS}
    other = (
        colour if keep["color"] else rng.choice([word for word in COLOURS if word != colour]),
        shape if keep["shape"] else rng.choice([word for word in SHAPES if word != shape]),
    )
    others = number if keep["number"] else rng.choice([count for count in range(1, 5) if count != number])
    scenes = [draw(rng, pool, [(colour, shape)] * number), draw(rng, pool, [other] * others)]
    asked = Asked(rng, scenes[0], pool, split)
    questions = [
        asked.question("compare", "same", "yes" if kept else "no", aspect=aspect) for aspect, kept in keep.items()
    ]
    changed = [aspect for aspect in ASPECTS if not keep[aspect]]
    if len(changed) == 1:
        questions.append(asked.question("compare", "differs", f"the {changed[0]}"))
    place = rng.randrange(2)
    count = NUMBERS[(number, others)[place]]
    questions.append(asked.question("compare", "count_in", count, plural="shapes", nth=ORDINALS[place]))
    return finish(asked, scenes, questions)


def same_object(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """Two pictures, half of the time of one name (drawn differently where the pool can)."""
    picture = choose_picture(rng, pool)
    keep = rng.random() < 0.5
    other = rng.choice(pool.by_name[picture.name]) if keep else choose_picture(rng, pool, apart_from=[picture.name])
    scenes = [draw(rng, pool, [picture]), draw(rng, pool, [other])]
    asked = Asked(rng, scenes[0], pool, split)
    questions = [asked.question("compare", "same", "yes" if keep else "no", aspect="object")]
    for place, shown in enumerate((picture, other)):
        questions.append(asked.question("compare", "what_in", a(shown.name), nth=ORDINALS[place]))
    return finish(asked, scenes, questions)


def more(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """Two pictures with different numbers of one shape."""
    figure = choose_shape(rng)
    numbers = rng.sample(range(1, 6), 2)
    scenes = [draw(rng, pool, [figure] * number) for number in numbers]
    asked = Asked(rng, scenes[0], pool, split)
    names = plural(rng.choice((figure[1], " ".join(figure))))
    answer = ORDINALS[0 if numbers[0] > numbers[1] else 1]
    questions = [asked.question("compare", "more", f"the {answer}", plural=names)]
    for place, number in enumerate(numbers):
        questions.append(asked.question("compare", "count_in", NUMBERS[number], plural=names, nth=ORDINALS[place]))
    return finish(asked, scenes, questions)
