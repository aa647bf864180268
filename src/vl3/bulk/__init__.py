"""Many questions asked in one go: resumable, with what fails named."""

from vl3.bulk.output import Output
from vl3.bulk.run import RunConfig, Summary, answer_all
from vl3.bulk.source import Question, Source, open_source

__all__ = ["Output", "Question", "RunConfig", "Source", "Summary", "answer_all", "open_source"]
