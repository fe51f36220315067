"""Memory of what a run keeps of its rows: activations, logits, and the cache while it generates.

The terms count what autograd keeps in transformers 5.23 and TRL 1.16 with scaled-dot-product attention. A test compares them with
the tensors that are saved in fact.
"""

from pipeline.tuning.parameters import Shape
from pipeline.tuning.parts import EVER, TRAINING, Part, part
from pipeline.tuning.plan import BYTES, Plan, patches, sequence

_FUSED_ROWS, _FUSED_WIDTH = (
    4096,
    32768,
)  # a tile of TRL's fused output layer (trl/kernels/chunked_logprob.py)
_MASK = 3  # bytes of a pair of tokens: transformers' mask of bool, and attention's copy of it as numbers


def inputs(shape: Shape, plan: Plan) -> list[Part]:
    """Return the memory of the frames' pixels and of the attention mask."""
    rows, length = max(plan.rows, plan.generated), sequence(shape, plan)
    size = rows * plan.frames * patches(shape, plan) * shape.vision.patch_values * 4
    text = f"{rows} rows x {plan.frames} frames x {patches(shape, plan)} patches x {shape.vision.patch_values} x 4 bytes"
    mask = plan.rows * length**2 * _MASK
    return [
        part("pixels", size, EVER, text, "Qwen2VLImageProcessor: each frame twice, fp32"),
        part(
            "attention mask",
            mask,
            TRAINING,
            f"{plan.rows} x {length:,}² x {_MASK} bytes",
            "bool and numbers; rows of unlike length",
        ),
    ]


def text_block_bytes(shape: Shape, plan: Plan) -> int:
    """Return the bytes that autograd keeps of one block of the language model, for each token."""
    text, size = shape.text, BYTES[plan.compute]
    wide, narrow = text.heads * text.head_size, text.key_heads * text.head_size
    # Norms work in fp32. Keys and values are repeated for all heads where rows are padded.
    kept = 2 * 4 * text.hidden + 4 * size * wide + 4 * text.heads + 3 * size * text.inner
    if shape.family == "qwen3_vl":  # norms of queries and keys
        kept += 4 * (wide + narrow)
    shared = {"q_proj": text.hidden, "gate_proj": text.hidden, "down_proj": text.inner}
    if not plan.lora_rank:
        # The inputs of the matrices, and of the norms' weights.
        norms = wide + narrow if shape.family == "qwen3_vl" else 0
        return kept + size * (sum(shared.values()) + 2 * text.hidden + norms)
    kept += size * plan.lora_rank * len(plan.lora_targets)
    if plan.lora_dropout or not (plan.weights == "nf4" or plan.zero3 or plan.compute == "fp32"):
        # Each adapter has an input of its own, dropped out or made fp32 and bf16 again; a mask is a byte a value.
        each = size + (1 if plan.lora_dropout else 0)
        return kept + each * sum(text.linear[name][0] for name in plan.lora_targets)
    group = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}
    groups = {group.get(name, name) for name in plan.lora_targets} - {"o_proj"}
    return kept + size * sum(shared[name] for name in groups)


def vision_block_bytes(shape: Shape, plan: Plan) -> int:
    """Return the bytes that autograd keeps of one block of the vision tower, for each patch: none with LoRA, which freezes it."""
    if plan.lora_rank:
        return 0
    vision, size = shape.vision, BYTES[plan.compute]
    width, inner = size * vision.width, size * vision.inner
    # Queries, keys, and the product of all three that holds the values; attention's result; the sums of its softmax.
    kept = 6 * width + 4 * vision.heads
    kept += 2 * 4 * vision.width if vision.gated else 2 * width
    between = {"qwen2_vl": 2, "qwen2_5_vl": 3, "qwen3_vl": 1}[shape.family]  # of the activation
    kept += between * inner
    # Inputs of the matrices, and of RMSNorm's weights.
    return kept + 3 * width + inner + (2 * width if vision.gated else 0)


def activations(shape: Shape, plan: Plan) -> list[Part]:
    """Return the memory of activations and logits of `plan.rows` rows in training."""
    text, vision, size = shape.text, shape.vision, BYTES[plan.compute]
    tokens = plan.rows * sequence(shape, plan)
    # A frozen tower keeps nothing: no gradient goes through it.
    seen = 0 if plan.lora_rank else plan.rows * plan.frames * patches(shape, plan)
    counted, twice = "counted in transformers 5.23", "gradients of the MLP's three products"
    block = text_block_bytes(shape, plan)
    tower = vision_block_bytes(shape, plan)
    if plan.checkpointing:
        source = "Chen et al. 2016, sublinear memory: a block's input is kept"
        found = [
            part(
                "inputs of vision blocks",
                seen * vision.depth * size * vision.width,
                TRAINING,
                f"{seen:,} patches x {vision.depth} x {vision.width} x {size} bytes",
                source,
            ),
            part(
                "inputs of text blocks",
                tokens * text.layers * size * text.hidden,
                frozenset({"loss", "text"}),
                f"{tokens:,} tokens x {text.layers} x {text.hidden} x {size} bytes",
                source,
            ),
            part(
                "one vision block",
                seen * tower,
                frozenset({"vision"}),
                f"{seen:,} patches x {tower:,} bytes",
                counted,
            ),
            part(
                "one text block",
                tokens * block,
                frozenset({"text"}),
                f"{tokens:,} tokens x {block:,} bytes",
                counted,
            ),
        ]
    else:
        found = [
            part(
                "vision blocks",
                seen * tower * vision.depth,
                TRAINING,
                f"{seen:,} patches x {vision.depth} x {tower:,} bytes",
                counted,
            ),
            part(
                "text blocks",
                tokens * block * text.layers,
                frozenset({"loss", "text"}),
                f"{tokens:,} tokens x {text.layers} x {block:,} bytes",
                counted,
            ),
        ]
    backward = tokens * 3 * size * text.inner
    words = f"{tokens:,} tokens x 3 x {text.inner} x {size} bytes"
    found.append(part("gradients of activations", backward, frozenset({"text"}), words, twice))
    return [*found, _logits(shape, plan)]


def _logits(shape: Shape, plan: Plan) -> Part:
    text, size = shape.text, BYTES[plan.compute]
    scored = plan.rows * (sequence(shape, plan) if plan.logits == "all" else plan.completion_tokens)
    moment = frozenset({"loss"})
    if plan.logits != "fused":
        each = size + 4 + 4
        words = f"{scored:,} tokens x {text.vocabulary:,} x {each} bytes"
        source = "logits, their fp32 copy and its gradient (transformers' ForCausalLMLoss)"
        return part("logits", scored * text.vocabulary * each, moment, words, source)
    tile = min(scored, _FUSED_ROWS) * min(_FUSED_WIDTH, text.vocabulary) * size
    tile += scored * text.hidden * 4
    words = (
        f"a tile of {min(scored, _FUSED_ROWS):,} x {_FUSED_WIDTH:,}, gradients of {scored:,} tokens"
    )
    if not plan.lora_rank:
        tile += shape.embedding * 4
        words += ", the output layer's gradient in fp32"
    return part("logits", tile, moment, words, "TRL 1.16: fused output layer")


def generation(shape: Shape, plan: Plan) -> list[Part]:
    """Return the memory that generating `plan.generated` completions takes beyond weights and pixels."""
    text, vision, size = shape.text, shape.vision, BYTES[plan.compute]
    moment = frozenset({"generation"})
    length = sequence(shape, plan)
    each = 2 * text.layers * text.key_heads * text.head_size * size
    prompt = plan.generated * (length - plan.completion_tokens)
    seen = plan.generated * plan.frames * patches(shape, plan)
    # Without gradients, the most at once is the MLP: two factors and their product, or one input and its image.
    language = prompt * size * (3 * text.inner + 2 * text.hidden)
    tower = seen * size * ((3 if vision.gated else 2) * vision.inner + 2 * vision.width)
    found = [
        part(
            "KV cache",
            plan.generated * length * each,
            moment,
            f"{plan.generated} completions x {length:,} tokens x {each:,} bytes",
            f"2 x {text.layers} layers x {text.key_heads} heads x {text.head_size}",
        ),
        part(
            "reading the prompts",
            max(language, tower),
            moment,
            f"{prompt:,} tokens, {seen:,} patches: one MLP",
            "no gradients; each completion has its own copy of the frames",
        ),
    ]
    words = f"{plan.generated} x {length - plan.completion_tokens:,}² x {_MASK} bytes"
    mask = plan.generated * (length - plan.completion_tokens) ** 2 * _MASK
    found.append(part("mask of the prompts", mask, moment, words, "prompts of unlike length"))
    if plan.zero3:
        size = BYTES[plan.compute]
        found.append(
            part(
                "whole weights",
                shape.parameters * size,
                moment,
                f"{shape.parameters:,} x {size} bytes",
                "TRL gathers them to generate (ds3_gather_for_generation)",
            )
        )
    return found
