"""The steps by name. Each is described where it is defined, and in docs/curation.md."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vl3.curate.step import Step
from vl3.curate.steps.aesthetic import AestheticConfig, aesthetic_step
from vl3.curate.steps.agreement import AgreementConfig, agreement_step
from vl3.curate.steps.balance import BalanceConfig, balance_step
from vl3.curate.steps.cluster import ClusterConfig, cluster_step
from vl3.curate.steps.content import ContentConfig, content_step
from vl3.curate.steps.decode import DecodeConfig, decode_step
from vl3.curate.steps.embed import EmbedConfig, embed_step
from vl3.curate.steps.events import EventsConfig, events_step
from vl3.curate.steps.exact import ExactConfig, exact_step
from vl3.curate.steps.export import ExportConfig, export_step
from vl3.curate.steps.fetch import FetchConfig, fetch_step
from vl3.curate.steps.leaks import LeaksConfig, leaks_step
from vl3.curate.steps.motion import MotionConfig, motion_step
from vl3.curate.steps.near import NearConfig, near_step
from vl3.curate.steps.quality import QualityConfig, quality_step
from vl3.curate.steps.recaption import RecaptionConfig, recaption_step
from vl3.curate.steps.safety import SafetyConfig, safety_step
from vl3.curate.steps.shape import ShapeConfig, shape_step
from vl3.curate.steps.shots import ShotsConfig, shots_step
from vl3.curate.steps.similar import SimilarConfig, similar_step
from vl3.curate.steps.tasks import TasksConfig, tasks_step
from vl3.curate.steps.words import WordsConfig, words_step


@dataclass(frozen=True)
class Kind:
    """A kind of step."""

    config: type[Any]
    """Its settings."""
    make: Callable[[Any], Step]
    """The step with given settings."""


STEPS: dict[str, Kind] = {
    "fetch": Kind(FetchConfig, fetch_step),
    "decode": Kind(DecodeConfig, decode_step),
    "shots": Kind(ShotsConfig, shots_step),
    "events": Kind(EventsConfig, events_step),
    "motion": Kind(MotionConfig, motion_step),
    "shape": Kind(ShapeConfig, shape_step),
    "words": Kind(WordsConfig, words_step),
    "leaks": Kind(LeaksConfig, leaks_step),
    "exact": Kind(ExactConfig, exact_step),
    "near": Kind(NearConfig, near_step),
    "quality": Kind(QualityConfig, quality_step),
    "content": Kind(ContentConfig, content_step),
    "safety": Kind(SafetyConfig, safety_step),
    "agreement": Kind(AgreementConfig, agreement_step),
    "embed": Kind(EmbedConfig, embed_step),
    "aesthetic": Kind(AestheticConfig, aesthetic_step),
    "cluster": Kind(ClusterConfig, cluster_step),
    "similar": Kind(SimilarConfig, similar_step),
    "balance": Kind(BalanceConfig, balance_step),
    "recaption": Kind(RecaptionConfig, recaption_step),
    "tasks": Kind(TasksConfig, tasks_step),
    "export": Kind(ExportConfig, export_step),
}
"""In the order in which they make sense: where a step that the command line adds to a recipe goes."""


def kind_of(name: str) -> str:
    """The kind of step that a name in a recipe stands for: `recaption` for `recaption-short`."""
    return name.partition("-")[0]


def make_step(name: str, settings: Any) -> Step:
    """The step of that name in a recipe."""
    return STEPS[kind_of(name)].make(settings)
