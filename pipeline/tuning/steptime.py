"""Time of a training step, computed from the operations of a plan and a card's rates. Nothing here is measured."""

from dataclasses import dataclass

from pipeline.tuning.parameters import Shape
from pipeline.tuning.plan import BYTES, Plan, check, patches, sequence


@dataclass(frozen=True)
class Card:
    """A GPU's rates from the maker's data sheet: dense bf16 operations and bytes of memory a second."""

    name: str
    operations: float
    bandwidth: float
    gib: int


CARDS = {
    "a100-80gb": Card("NVIDIA A100 80 GB", 312e12, 2.039e12, 80),
    "h100": Card("NVIDIA H100 SXM", 989e12, 3.35e12, 80),
    "h200": Card("NVIDIA H200", 989e12, 4.8e12, 141),
    "l40s": Card("NVIDIA L40S", 362e12, 0.864e12, 48),
    "rtx-4090": Card("NVIDIA RTX 4090", 165e12, 1.008e12, 24),
}
# An assumption: large pretraining runs report .4 to .5 of the card's rate; short rows, LoRA and attention that
# isn't FlashAttention stay below.
UTILISATION = 0.35
# An assumption: transformers' `generate` starts each layer's kernels from Python, so a 7B model writes 30 to 40 tokens a second
# on any of these cards.
_LAYER_SECONDS = 0.001


@dataclass(frozen=True)
class Step:
    """Computed time of an optimiser step on one GPU: operations of training, seconds of training and of generation."""

    operations: float
    training: float
    generation: float

    @property
    def seconds(self) -> float:
        """Seconds of the step."""
        return self.training + self.generation

    def lines(self, card: Card, utilisation: float = UTILISATION) -> list[str]:
        """Return the time as lines of text for a terminal."""
        rate = f"{self.operations / 1e12:,.0f} TFLOP at {utilisation:.0%} of {card.name}"
        found = [
            f"time of a step (computed): {self.seconds:.1f} s",
            f"  training   {self.training:8.1f} s  {rate}",
        ]
        if self.generation:
            found.append(
                f"  generation {self.generation:8.1f} s  transformers' generate, token by token"
            )
        return found


def step(
    shape: Shape, plan: Plan, card: Card, accumulation: int = 1, utilisation: float = UTILISATION
) -> Step:
    """Compute the time of a step of `accumulation` passes of `plan.rows` rows on each GPU.

    In GRPO, the rows' completions are generated first, `plan.generated` at once. Time to exchange gradients or weights
    between GPUs isn't in it. Raise UserError for a plan that contradicts itself.
    """
    check(plan)
    rows = plan.rows * accumulation
    operations = rows * row_operations(shape, plan)
    if plan.reference:  # one pass more, forward alone
        operations += rows * _forward(shape, plan)
    generation = 0.0
    if plan.generated:
        each = max(_weight_bytes(shape, plan) / card.bandwidth, shape.text.layers * _LAYER_SECONDS)
        prompts = rows * _forward(shape, plan) / (card.operations * utilisation)
        generation = prompts + rows / plan.generated * plan.completion_tokens * each
    return Step(operations, operations / (card.operations * utilisation), generation)


def row_operations(shape: Shape, plan: Plan) -> float:
    """Return the operations of training on one row, forward and backward.

    A parameter takes 2 operations a token forward, 2 for the gradient of its input and 2 for its own, which frozen ones
    don't have: 6 in full training, 4 with LoRA (Kaplan et al. 2020, section 2.1). Checkpointing computes blocks
    forward once more. Attention has no parameters: its backward pass takes twice its forward pass. With LoRA,
    the frozen vision tower is only computed forward.
    """
    again = 1 if plan.checkpointing else 0
    passes = (2 if plan.lora_rank else 3) + again
    tower, tower_attention = (1, 1) if plan.lora_rank else (passes, 3 + again)
    return (
        passes * _language(shape, plan)
        + (passes - again) * _output(shape, plan)
        + (3 + again) * _language_attention(shape, plan)
        + tower * _tower(shape, plan)
        + tower_attention * _tower_attention(shape, plan)
    )


def _forward(shape: Shape, plan: Plan) -> float:
    attention = _language_attention(shape, plan) + _tower_attention(shape, plan)
    return _language(shape, plan) + _output(shape, plan) + _tower(shape, plan) + attention


def _language(shape: Shape, plan: Plan) -> float:
    return 2.0 * sequence(shape, plan) * shape.text.layers * shape.block_linear


def _output(shape: Shape, plan: Plan) -> float:
    scored = sequence(shape, plan) if plan.logits == "all" else plan.completion_tokens
    return 2.0 * scored * shape.embedding


def _language_attention(shape: Shape, plan: Plan) -> float:
    text = shape.text
    pairs = sequence(shape, plan) ** 2 / 2  # a token attends to those before it
    return 4.0 * pairs * text.layers * text.heads * text.head_size


def _tower(shape: Shape, plan: Plan) -> float:
    vision = shape.vision
    merged = vision.width * vision.merge**2
    merger = vision.mergers * (merged**2 + merged * vision.out)
    patch = vision.linear - merger + vision.patch_values * vision.width
    seen = plan.frames * patches(shape, plan)
    return 2.0 * seen * (patch + merger / vision.merge**2)


def _tower_attention(shape: Shape, plan: Plan) -> float:
    vision, frame = shape.vision, patches(shape, plan)
    window = min(frame, vision.window or frame)
    spans = vision.whole * frame + (vision.depth - vision.whole) * window
    return 4.0 * plan.frames * frame * spans * vision.width


def _weight_bytes(shape: Shape, plan: Plan) -> float:
    if plan.weights == "nf4":  # read as 4 bits, but written and read once more as bf16
        return shape.text_parameters * (0.5 + 2 + 2)
    return shape.text_parameters * BYTES[plan.weights]
