"""The tables of a workspace: every row type that is written as Parquet, by name."""

from pipeline.engine.rows import Finding, Rejection, Row
from pipeline.motion.rows import Clip, Frame, Heading, JudgedClip, Stay, Turn
from pipeline.questions.rows import Expected, Item, Span, Stratum, Written
from pipeline.releases.rows import Still
from pipeline.review.rows import Answer, Verdict
from pipeline.routes.rows import Route
from pipeline.sources.rows import Narration, Probe, Source, SplitLabel, Video

TABLES: dict[str, type[Row]] = {
    kind.table: kind
    for kind in (
        *(Source, Probe, Video, SplitLabel, Narration, Clip, JudgedClip, Heading, Turn, Stay),
        *(Frame, Route, Written, Expected, Span, Stratum, Item, Still),
        *(Finding, Verdict, Answer, Rejection),
    )
}
