"""exact: drops all but one of pictures with the very same pixels, whatever file format they are in."""

from vl3.config import configclass
from vl3.curate.step import Found, Place, Pool, PoolStep


@configclass
class ExactConfig:
    """Nothing to set."""


def exact_step(_config: ExactConfig) -> PoolStep:
    """Writes `duplicate_of`, the id of the row that stays: of equals the one with the longest text, else the first."""
    return PoolStep(("pixels", "text"), {"duplicate_of": "string"}, find, only="image")


def find(pool: Pool, _place: Place) -> Found:
    """Groups rows by the SHA-256 of their pixels."""
    rows = pool.read(("pixels", "text"))
    best: dict[str, int] = {}
    for number, pixels in enumerate(rows["pixels"]):
        kept = best.get(pixels)
        if kept is None or len(rows["text"][number] or "") > len(rows["text"][kept] or ""):
            best[pixels] = number
    stays = [best[pixels] for pixels in rows["pixels"]]
    copies = [None if kept == number else rows["id"][kept] for number, kept in enumerate(stays)]
    return Found({"duplicate_of": copies}, [copy and "same pixels" for copy in copies])
