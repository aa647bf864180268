"""Whole sentences about a scene: what is where, in several ways of saying so."""

import random
from collections import Counter

from recipes.nano.data.asking import BESIDE, Asked, is_beside
from recipes.nano.data.canvas import Scene, Thing
from recipes.nano.data.sample import Question
from recipes.nano.data.words import NUMBERS, a, is_are, is_counted, listing, several, the


def caption(asked: Asked) -> Question:
    """A description of the scene."""
    return asked.question("caption", "caption", describe(asked.rng, asked.scene))


def describe(rng: random.Random, scene: Scene) -> str:
    """One or two sentences that name everything in the scene, with the places that are clear."""
    things = sorted(scene.things, key=lambda thing: (thing.center[0], thing.center[1]))
    ways = [by_groups] if len({thing.text for thing in things}) < len(things) else [by_places, by_list, by_relation]
    return rng.choice(ways)(rng, things, behind(rng, scene))


def behind(rng: random.Random, scene: Scene) -> str:
    """` on a white background`, or nothing where the background has no name."""
    if scene.background is None or rng.random() < 0.3:
        return ""
    return f" on {a(rng.choice((scene.background, f'plain {scene.background}')))} background"


def placed(thing: Thing) -> str:
    """`a dog at the top`."""
    return f"{a(thing.text)} {thing.position}" if thing.position else a(thing.text)


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def by_places(rng: random.Random, things: list[Thing], ground: str) -> str:
    """`There is a dog at the top left and a red circle in the center.`"""
    body = listing([placed(thing) for thing in things])
    if ground and rng.random() < 0.5:
        return f"{sentence(body)} The background is {ground.removesuffix(' background').split()[-1]}."
    opening = rng.choice(("", f"there {is_are(things[0].text)} ", "the picture shows ", "you can see "))
    return sentence(f"{opening}{body}{ground if len(things) == 1 else ground.replace(' on', ', on', 1)}")


def by_list(rng: random.Random, things: list[Thing], ground: str) -> str:
    """`A dog and a cat. The dog is at the top left.`"""
    opening = rng.choice(("", "the picture shows ", "an image of "))
    clear = [thing for thing in things if thing.position]
    places = [f"{the(thing.text)} {is_are(thing.text)} {thing.position}" for thing in clear[:3]]
    first = sentence(f"{opening}{listing([a(thing.text) for thing in things])}{ground}")
    return f"{first} {sentence(listing(places))}" if places else first


def by_relation(rng: random.Random, things: list[Thing], ground: str) -> str:
    """`A dog is to the left of a cat.`, for two things; places for any other number."""
    if len(things) != 2:
        return by_places(rng, things, ground)
    one, other = rng.sample(things, 2)
    words = [word for word in BESIDE if is_beside(one, word, other)]
    if not words:
        return by_list(rng, things, ground)
    return sentence(f"{a(one.text)} {is_are(one.text)} {rng.choice(words)} {a(other.text)}{ground}")


def by_groups(rng: random.Random, things: list[Thing], ground: str) -> str:
    """`Three red circles and a star.`"""
    groups = Counter(thing.text for thing in things)
    parts = [several(number, text) if is_counted(text) else text for text, number in groups.items()]
    opening = rng.choice(("", "the picture shows ", "there are ", "you can see "))
    total = f" There are {NUMBERS[len(things)]} in all." if len(groups) > 1 and rng.random() < 0.3 else ""
    return sentence(f"{opening}{listing(parts)}{ground}") + total
