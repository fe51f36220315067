"""GPU memory that a training run needs, computed from a model's shape and the run's settings, part by part.

Nothing here is measured. The terms for activations count what autograd keeps in transformers 5.23 and TRL 1.16 with
scaled-dot-product attention; a test compares them with the tensors that are saved in fact. Left out are what the driver takes (about
.5 GiB), the optimizer's temporary copies, and fragmentation: leave a tenth of the card free. Needs no torch.
"""

from dataclasses import dataclass

from pipeline.tuning.activations import activations, generation, inputs
from pipeline.tuning.parameters import Shape
from pipeline.tuning.parts import EVER, MOMENTS, TRAINING, Part, part
from pipeline.tuning.plan import BYTES, Plan, check, sequence

# 4 bits a weight, an 8-bit scale for 64 weights, a 32-bit scale for 256 of those (QLoRA, Dettmers et al. 2023, section 3).
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
_LIVE = 10**9  # parameters that DeepSpeed keeps gathered at most (stage3_max_live_parameters)


@dataclass(frozen=True)
class Estimate:
    """Computed memory of one GPU. `trained` counts trained parameters, `sequence` the tokens of a row."""

    parts: tuple[Part, ...]
    parameters: int
    trained: int
    sequence: int

    @property
    def peak_moment(self) -> str:
        """The moment of a step with the most memory: loss, text, vision or generation."""
        return max(MOMENTS, key=self.gib_at)

    @property
    def peak_gib(self) -> float:
        """The most memory at any moment, in GiB."""
        return self.gib_at(self.peak_moment)

    def gib_at(self, moment: str) -> float:
        """Return the memory at a moment, in GiB."""
        return sum(one.gib for one in self.parts if moment in one.moments)

    def lines(self) -> list[str]:
        """Return the estimate as lines of text for a terminal."""
        width = max(len(one.name) for one in self.parts)
        return [
            f"memory of one GPU (computed): {self.peak_gib:.1f} GiB at most, {MOMENTS[self.peak_moment]}",
            f"{self.trained:,} of {self.parameters:,} parameters are trained; {self.sequence:,} tokens a row",
            *(
                f"  {one.name:<{width}} {one.gib:8.2f} GiB  {one.formula} ({one.source})"
                for one in self.parts
            ),
            "  not in it: about .5 GiB of the driver, and fragmentation; leave a tenth of the card free",
        ]


def estimate(shape: Shape, plan: Plan) -> Estimate:
    """Compute the memory of one GPU. Raise UserError for settings that contradict each other."""
    check(plan)
    trained = (
        shape.adapter(plan.lora_rank, plan.lora_targets) if plan.lora_rank else shape.parameters
    )
    parts = [*_states(shape, plan, trained), *inputs(shape, plan), *activations(shape, plan)]
    if plan.generated:
        parts += generation(shape, plan)
    return Estimate(
        parts=tuple(one for one in parts if one.gib > 0),
        parameters=shape.parameters + (trained if plan.lora_rank else 0),
        trained=trained,
        sequence=sequence(shape, plan),
    )


def _states(shape: Shape, plan: Plan, trained: int) -> list[Part]:
    share = plan.gpus if plan.zero3 else 1
    over = f" / {share} GPUs" if share > 1 else ""
    found = [_weights(shape, plan, share, over)]
    if plan.lora_rank:
        # PEFT keeps adapters in fp32 (`cast_adapter_dtype`); TRL makes them bf16 if the base is quantised or under ZeRO-3.
        size = 2 if plan.weights == "nf4" or plan.zero3 else 4
        why = f"{trained:,} x {size} bytes{over}"
        found.append(part("LoRA weights", trained * size / share, EVER, why, "peft 0.21"))
    else:
        size = BYTES[plan.weights]
    # DeepSpeed and torch keep gradients in the type of the weights.
    why = f"{trained:,} x {size} bytes{over}"
    found.append(part("gradients", trained * size / share, TRAINING, why, "type of the weights"))
    if plan.optimizer == "adamw_8bit":
        moments, text = 2 * (1 + 4 / 256), "2 moments of 8 bits, a 32-bit scale for 256"
        source = "Dettmers et al. 2022, 8-bit optimizers"
    elif plan.zero3 and size == 2:
        moments, text = 12, "12 bytes: fp32 copy and 2 moments"
        source = "ZeRO, Rajbhandari et al. 2020, section 3.1"
    else:
        moments, text = 2 * size, f"2 moments of {size} bytes"
        source = "torch.optim.AdamW: states have the type of the weights"
    found.append(part("Adam states", trained * moments / share, EVER, f"{text}{over}", source))
    if plan.weights == "nf4":
        largest = max(inner * outer for inner, outer in shape.text.linear.values())
        text = f"the largest, {largest:,} x 2 bytes"
        found.append(
            part("a matrix unpacked", largest * 2, EVER, text, "bitsandbytes: one at a time")
        )
    if plan.zero3:
        live = min(_LIVE, shape.parameters) * BYTES[plan.compute]
        text = "at most 1e9 parameters are whole at a time"
        found.append(part("gathered weights", live, TRAINING, text, "DeepSpeed's default"))
    if plan.reference and not plan.lora_rank:
        size = BYTES[plan.compute]
        text = f"{shape.parameters:,} x {size} bytes{over}"
        found.append(
            part("reference model", shape.parameters * size / share, EVER, text, "KL term")
        )
    return found


def _weights(shape: Shape, plan: Plan, share: int, over: str) -> Part:
    if plan.weights == "nf4":
        rest = shape.parameters - shape.quantisable
        size = shape.quantisable * NF4 + rest * 2
        text = f"{shape.quantisable:,} x {NF4:.3f} + {rest:,} x 2 bytes (embedding, output layer, norms)"
        return part("weights", size, EVER, text, "QLoRA, section 3: nf4, double quantisation")
    bytes_each = BYTES[plan.weights]
    text = f"{shape.parameters:,} x {bytes_each} bytes{over}"
    return part("weights", shape.parameters * bytes_each / share, EVER, text, "config.json")
