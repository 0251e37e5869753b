"""Everything that a Self-Align run depends on, as one typed model.

It shares model, oracle and evaluation with ``iteralign.Recipe``. Knows no engine and reads no file.
docs/recipe.md is made from the descriptions here.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.models import BudgetSection, ModelSection, OracleSection
from iteralign.recipe.sections import (
    COLUMNS,
    BenignSection,
    EvaluationSection,
    RedTeamSection,
    Sampling,
    Section,
)
from iteralign.recipe.training import TrainingSection
from iteralign.recipe.yaml import dump
from iteralign.records.chat import SamplingParams


class WordsSection(Section):
    """What people wrote: seeds, topics, rules, exemplars.
    Files of your own take the shipped ones' formats.
    """

    seeds: str | None = Field(None, description="seed tasks, one a line; the shipped 175 where not given")
    topics: str | None = Field(
        None,
        description="lines of type, topic and request with bars between them; the shipped 20 where not given",
    )
    rules: str | None = Field(
        None,
        description=(
            "rules (name, text) or a constitution of IterAlign, YAML or JSON; the shipped ones where not "
            "given"
        ),
    )
    exemplars: str | None = Field(
        None, description="exemplars (question, thoughts, answer); the shipped ones where not given"
    )
    variant: bool = Field(False, description="Dromedary-2's: 17 rules and 6 exemplars in place of 16 and 5")
    without: str | None = Field(
        None, description="leave out the rule of this name, and exemplars that apply it: an ablation"
    )


class SelfInstructSection(Section):
    """Stage 1, ordinary self-instruct."""

    source: str = Field(
        "self-instruct",
        min_length=1,
        description="`self-instruct`, or given prompts: a file, a known set's name, or hub:NAME",
    )
    columns: dict[str, str] | None = Field(None, description=COLUMNS)
    prompts: int = Field(
        100, ge=0, description="instructions that are wanted; of given prompts, at most so many"
    )
    round: int = Field(
        32, ge=1, description="requests a round; what a round keeps may be shown in the next one"
    )
    rounds: int = Field(1000, ge=1, description="at most so many rounds, where the model repeats itself")
    wanted: int = Field(4, ge=1, description="instructions asked for at once")
    shown: int = Field(5, ge=1, description="seed tasks shown in a request")
    new: int = Field(0, ge=0, description="instructions kept before that are shown, too")
    shortest: int = Field(3, ge=0, description="words: an instruction has more")
    longest: int = Field(150, ge=1, description="words: an instruction has at most so many")
    threshold: float = Field(
        0.7, gt=0, le=1, description="ROUGE-L above which an instruction repeats one that was kept"
    )
    sampling: Sampling = Field(
        default_factory=lambda: Sampling(max_new_tokens=160, temperature=1.0, top_p=0.98)
    )


class TopicsSection(Section):
    """Stage 1, topic-guided red-teaming self-instruct."""

    rounds: int = Field(
        2, ge=0, description="rounds of brainstorming; 0 leaves topic-guided instructions out"
    )
    requests: int = Field(1, ge=1, description="requests per type and round")
    wanted: int = Field(10, ge=1, description="topics asked for at once")
    per_type: int | None = Field(None, ge=1, description="at most so many topics of each type")
    shown: int = Field(5, ge=1, description="seeds shown in a request about a topic")
    new: int = Field(5, ge=0, description="instructions kept before that are shown, too")
    round: int = Field(200, ge=1, description="requests about topics in a round")
    attempts: int = Field(2, ge=1, description="tries per type and topic")
    sampling: Sampling = Field(
        default_factory=lambda: Sampling(max_new_tokens=96, temperature=1.0, top_p=0.98)
    )


class AlignSection(Section):
    """Stage 2, principle-driven self-alignment."""

    sampling: Sampling = Field(
        default_factory=lambda: Sampling(max_new_tokens=256, temperature=0.5, top_p=0.9)
    )
    leak_words: int = Field(
        8, ge=2, description="a run of so many words of an exemplar in an answer is a leak"
    )
    shortest_cut: int = Field(
        160, ge=0, description="characters of an answer that was cut where the model began another's turn"
    )


class EngraveSection(Section):
    """Stage 3, principle engraving."""

    identity: int = Field(
        1, ge=0, description="how often an epoch holds each item on who the assistant is; 0 leaves them out"
    )
    training: TrainingSection = Field(
        default_factory=lambda: TrainingSection(method="lora", learning_rate=4e-4, epochs=1, lora_alpha=16)
    )


class CloneSection(Section):
    """Stage 4, verbose cloning."""

    enabled: bool = Field(True, description="off: the engraved model is the result (Dromedary-2)")
    sampling: Sampling = Field(
        default_factory=lambda: Sampling(max_new_tokens=512, temperature=0.3, top_p=0.7)
    )
    ngram_penalty: float = Field(
        1.0,
        ge=0,
        description=(
            "taken from the logit of a token that would repeat 3 or 4 tokens of the answer; needs engine hf"
        ),
    )
    shortest: int = Field(128, ge=0, description="characters of an answer")
    leak_words: int = Field(
        8, ge=2, description="a run of so many words of the extensive prompt in an answer is a leak"
    )
    identity: int = Field(1, ge=0, description="as in `engrave`")
    questions: str | None = Field(
        None,
        description=(
            "open questions (Vicuna's or MT-bench's file): a chat oracle compares cloned answers with "
            "engraved ones"
        ),
    )
    training: TrainingSection = Field(
        default_factory=lambda: TrainingSection(
            method="lora", learning_rate=4e-4, epochs=1, lora_alpha=16, max_length=768
        )
    )

    def params(self, seed: int) -> SamplingParams:
        """The teacher's sampling, with its penalty."""
        s = self.sampling
        return SamplingParams(
            max_new_tokens=s.max_new_tokens,
            temperature=s.temperature,
            top_p=s.top_p,
            seed=seed,
            ngram_penalty=self.ngram_penalty or None,
        )


class SelfAlignRecipe(Section):
    """Everything that a Self-Align run depends on."""

    name: str = Field(
        "self-align",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="names the run: letters, digits, `.`, `_` and `-`",
    )
    method: Literal["self-align"] = Field("self-align", description="the algorithm")
    seed: int = Field(0, ge=0, lt=2**32, description="of everything that is random")
    shared: bool = Field(
        False, description="others on this machine may read the run's directory, as the umask says"
    )
    assistant: str = Field(
        "Iris",
        pattern=r"^[A-Za-z][A-Za-z0-9 -]{0,39}$",
        description="the assistant's name, in prompts and in what it says of itself",
    )
    shard: int = Field(2048, ge=1, description="instructions whose answers are held in memory at once")
    model: ModelSection = Field(default_factory=lambda: ModelSection(name="organism-rules"))
    oracle: OracleSection = Field(default_factory=OracleSection)
    words: WordsSection = Field(default_factory=WordsSection)
    self_instruct: SelfInstructSection = Field(default_factory=SelfInstructSection)
    topics: TopicsSection = Field(default_factory=TopicsSection)
    align: AlignSection = Field(default_factory=AlignSection)
    engrave: EngraveSection = Field(default_factory=EngraveSection)
    clone: CloneSection = Field(default_factory=CloneSection)
    red_team: RedTeamSection = Field(default_factory=RedTeamSection)
    benign: BenignSection = Field(default_factory=BenignSection)
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    budget: BudgetSection = Field(default_factory=BudgetSection)

    @model_validator(mode="after")
    def _can_be_served(self) -> Self:
        if self.model.engine != "hf" and self.clone.enabled and self.clone.ngram_penalty > 0:
            raise ValueError(
                "clone.ngram_penalty needs model.engine = hf: a server has no such penalty; set "
                "clone.ngram_penalty = 0"
            )
        return self

    @model_validator(mode="after")
    def _can_be_compared(self) -> Self:
        if self.clone.questions is not None and self.oracle.kind == "embedded":
            raise ValueError(
                "clone.questions needs a chat model that compares answers: set oracle.kind = chat and "
                "oracle.model, or leave it out"
            )
        return self

    def to_yaml(self) -> str:
        """The resolved recipe as YAML; reads back equal."""
        return dump(self.model_dump(mode="json"))

    def loop(self, training: TrainingSection | None = None) -> Recipe:
        """Return what it shares with IterAlign, as that method's recipe, with one of its trainings.

        Shared are model, oracle, held-out prompts, evaluation and budget. ``training``: the engraving's where
        it is not given.
        """
        shared = ("seed", "model", "oracle", "red_team", "benign", "budget")
        return Recipe(
            name=self.name,
            training=training or self.engrave.training,
            evaluation=self.evaluation.model_copy(update={"test_share": 0.0}),  # nothing is decided here
            **{k: getattr(self, k) for k in shared},
        )
