"""[content]: what a message says and carries."""

from typing import Annotated

from pydantic import Field

from sekisho.config.section import Section


class ContentSettings(Section):
    junk_score: Annotated[float, Field(ge=0.1, le=2)] = Field(
        0.33, description="From this score of the classifier on a message is junk; 0.33 lost no ham in 20 trials, less finds more spam."
    )
    shared_lessons: bool = Field(True, description="What one account teaches by its moves to and from Junk counts for everybody.")
    lessons: Annotated[int, Field(ge=200, le=100_000)] = Field(
        10_000, description="How many messages of ham, and of spam, the classifier remembers; 2 KB each, the newest stay."
    )
