"""Everything that a run of IterAlign depends on, as one typed model.

Knows no engine and reads no file. docs/recipe.md is made from the descriptions here.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from iteralign.recipe.models import BudgetSection, ModelSection, OracleSection
from iteralign.recipe.sections import (
    AcceptSection,
    BenignSection,
    ConsolidateSection,
    EvaluationSection,
    ProposeSection,
    RedTeamSection,
    ReflectionSection,
    ReplaySection,
    ScreenSection,
    Section,
    StopSection,
)
from iteralign.recipe.training import TrainingSection
from iteralign.recipe.yaml import dump


class Recipe(Section):
    """Everything that a run depends on."""

    name: str = Field(
        "embedded",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="names the run: letters, digits, `.`, `_` and `-`",
    )
    method: Literal["iteralign"] = Field("iteralign", description="the algorithm")
    seed: int = Field(0, ge=0, lt=2**32, description="of everything that is random")
    shared: bool = Field(
        False, description="others on this machine may read the run's directory, as the umask says"
    )
    constitution: str | None = Field(
        None,
        min_length=1,
        description=(
            "principles to start from: a constitution's file, or `self-align` for that method's 16 rules"
        ),
    )
    model: ModelSection = Field(default_factory=ModelSection)
    oracle: OracleSection = Field(default_factory=OracleSection)
    red_team: RedTeamSection = Field(default_factory=RedTeamSection)
    benign: BenignSection = Field(default_factory=BenignSection)
    propose: ProposeSection = Field(default_factory=ProposeSection)
    consolidate: ConsolidateSection = Field(default_factory=ConsolidateSection)
    reflection: ReflectionSection = Field(default_factory=ReflectionSection)
    screen: ScreenSection = Field(default_factory=ScreenSection)
    replay: ReplaySection = Field(default_factory=ReplaySection)
    training: TrainingSection = Field(default_factory=TrainingSection)
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    accept: AcceptSection = Field(default_factory=AcceptSection)
    stop: StopSection = Field(default_factory=StopSection)
    budget: BudgetSection = Field(default_factory=BudgetSection)
    keep_checkpoints: int = Field(
        2,
        ge=1,
        description=(
            "accepted checkpoints that are kept on disk: the latest, then the one with the lowest measured "
            "harm, then those before the latest"
        ),
    )

    @model_validator(mode="after")
    def _gate_has_its_measurements(self) -> Self:
        if self.accept.enabled and self.evaluation.every > 1:
            raise ValueError(
                f"evaluation.every = {self.evaluation.every}: the gate decides about every candidate by "
                "these measurements; set evaluation.every to 1, or switch the gate off "
                "(accept.enabled: false)"
            )
        return self

    def to_yaml(self) -> str:
        """The resolved recipe as YAML; reads back equal."""
        return dump(self.model_dump(mode="json"))
