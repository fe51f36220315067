"""A model that answers: its prompts in the words of its chat template, their tokens, and whole batches of replies."""

import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from pipeline.tuning.chat_body import Ask, Picture, RefusedError
from pipeline.tuning.drawing import Draw, Ends
from pipeline.tuning.vlm import Loaded

Tensors = dict[str, torch.Tensor]
# They stand for pictures: in a text, they would be taken for some.
_PICTURE_TOKENS = ("<|image_pad|>", "<|video_pad|>")
_FINGERPRINT_VALUES = 64
_COLDEST = 1e-6  # temperatures up to it mean 0: scores divided by less overflow
_MOST_BYTES = 4  # of a character: a token may begin or end inside one


@dataclass(frozen=True)
class Said:
    """A reply: its text, why it ended ("stop" or "length"), and the numbers of tokens of prompt and reply."""

    text: str
    finish: str
    prompt_tokens: int
    tokens: int


class Served:
    """A loaded model; `count` may be called from any thread, `answers` from one at a time."""

    def __init__(self, loaded: Loaded) -> None:
        self._model, self._processor = loaded.model.eval(), loaded.processor
        self._tokenizer = loaded.processor.tokenizer
        self._lock = threading.Lock()  # the tokenizer's library fails if two threads use it at once
        self.context = int(loaded.model.config.get_text_config().max_position_embeddings)
        self.fingerprint = _fingerprint(loaded.model)
        ends = loaded.model.generation_config.eos_token_id
        if ends is None:
            ends = self._tokenizer.eos_token_id
        self._ends: list[int] = [ends] if isinstance(ends, int) else list(ends)
        # Filler on the left, which is masked; any token will do for a model without one of its own.
        pad = self._tokenizer.pad_token_id
        self._pad: int = self._ends[0] if pad is None else pad

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self._model.device
        return device

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(weight.numel() for weight in self._model.parameters())

    def count(self, ask: Ask) -> int:
        """Return the tokens of a prompt, those of its pictures included, without decoding these.

        Raise RefusedError if it doesn't fit into the model's context together with the reply's limit.
        """
        images = self._processor.image_processor
        text = self._text(ask)
        with self._lock:
            tokens = len(self._tokenizer(text)["input_ids"])
        for picture in ask.pictures:  # each is one token of the text so far
            try:
                patches = images.get_number_of_image_patches(picture.height, picture.width, {})
            except ValueError as error:
                raise _bad_picture(error) from error
            tokens += patches // images.merge_size**2 - 1
        if tokens + ask.max_tokens > self.context:
            raise RefusedError(
                400,
                f"this model's context length is {self.context} tokens; the messages have {tokens} and"
                f" the reply may have {ask.max_tokens}",
                "context_length_exceeded",
                "messages",
            )
        return tokens

    def inputs(self, ask: Ask) -> Tensors:
        """Return the model's inputs for one request; raise RefusedError for a picture that can't be decoded."""
        pictures = [_decoded(picture) for picture in ask.pictures]
        text = self._text(ask)
        try:
            with self._lock:
                made = self._processor(text=[text], images=pictures or None, return_tensors="pt")
        except ValueError as error:
            raise _bad_picture(error) from error
        return dict(made)

    def answers(
        self,
        asks: Sequence[Ask],
        prompts: Sequence[Tensors],
        gone: Callable[[int], bool] = lambda row: False,
    ) -> list[Said]:
        """Answer requests in one batch, each with limits and chance of its own: its reply depends on no other.

        A row for which `gone` turns true ends early. Batches of another size add up in another order, so in half
        precision a near tie may fall otherwise.
        """
        inputs = self._together(prompts)
        width = inputs["input_ids"].shape[1]
        draws = [
            Draw.of(ask.drawing, secrets.randbits(63), self.device)
            if ask.drawing.temperature > _COLDEST
            else None
            for ask in asks
        ]
        ends = Ends([ask.max_tokens for ask in asks], width, self._stops(asks, width), gone)
        settings = GenerationConfig(
            do_sample=False,  # what is drawn by chance is drawn in `Draw`, row by row
            max_new_tokens=max(ask.max_tokens for ask in asks),
            eos_token_id=self._ends,
            pad_token_id=self._pad,
            repetition_penalty=1.0,
        )
        with torch.inference_mode():
            made = self._model.generate(
                **{name: value.to(self.device) for name, value in inputs.items()},
                generation_config=settings,
                logits_processor=LogitsProcessorList([_drawn(draws)]),
                stopping_criteria=StoppingCriteriaList([ends]),
            )
        rows = made[:, width:].tolist()
        lengths = [prompt["input_ids"].shape[1] for prompt in prompts]
        replies = [row[:length] for row, length in zip(rows, ends.lengths, strict=True)]
        return [self._said(*one) for one in zip(asks, replies, lengths, strict=True)]

    def _text(self, ask: Ask) -> str:
        for turn in ask.turns:
            for part in turn.parts:
                if isinstance(part, str) and any(token in part for token in _PICTURE_TOKENS):
                    what = f"a text has one of the tokens {', '.join(_PICTURE_TOKENS)}, which stand for pictures"
                    raise RefusedError(400, what, None, "messages")
        turns = [
            {"role": turn.role, "content": [_content(part) for part in turn.parts]}
            for turn in ask.turns
        ]
        text: str = self._processor.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        return text

    def _together(self, prompts: Sequence[Tensors]) -> Tensors:
        """Put prompts into one batch: what goes by tokens is padded on the left, pictures follow one another."""
        width = max(prompt["input_ids"].shape[1] for prompt in prompts)
        made: Tensors = {}
        for name in {name: None for prompt in prompts for name in prompt}:
            parts = [prompt[name] for prompt in prompts if name in prompt]
            if name in ("pixel_values", "image_grid_thw"):
                made[name] = torch.cat(parts)
                continue
            filler = self._pad if name == "input_ids" else 0
            missing = [(width - part.shape[1], 0) for part in parts]
            padded = [
                torch.nn.functional.pad(part, by, value=filler)
                for part, by in zip(parts, missing, strict=True)
            ]
            made[name] = torch.cat(padded)
        return made

    def _stops(self, asks: Sequence[Ask], width: int) -> Callable[[int, torch.Tensor], bool]:
        def stopped(row: int, tokens: torch.Tensor) -> bool:
            stop = asks[row].stop
            if not stop:
                return False
            # A token is a byte or more, so a stop that has just ended is within so many tokens.
            last = max(len(one.encode()) for one in stop) + _MOST_BYTES
            words = self._words(tokens[width:][-last:].tolist())
            return any(one in words for one in stop)

        return stopped

    def _words(self, tokens: list[int]) -> str:
        with self._lock:
            text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text

    def _said(self, ask: Ask, row: list[int], prompt_tokens: int) -> Said:
        end = next((at for at, token in enumerate(row) if token in self._ends), None)
        if end is not None:
            row = row[: end + 1]
        text, finish = self._words(row), "length" if end is None else "stop"
        if found := [at for one in ask.stop if (at := text.find(one)) >= 0]:
            text, finish = text[: min(found)], "stop"
        return Said(text, finish, prompt_tokens, len(row))


def _drawn(draws: Sequence[Draw | None]) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    def draw(tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if scores.isnan().any():
            raise RuntimeError("the model's scores are no numbers: its weights are damaged")
        made = scores.clone()
        for row, one in enumerate(draws):
            if one:
                made[row] = one.only_drawn(scores[row])
        return made

    return draw


def _content(part: str | Picture) -> dict[str, str]:
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}


def _decoded(picture: Picture) -> Any:
    from PIL import Image

    try:
        with Image.open(BytesIO(picture.data)) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise _bad_picture(error) from error


def _bad_picture(error: Exception) -> RefusedError:
    return RefusedError(400, f"an image can't be used: {error}", None, "messages")


def _fingerprint(model: Any) -> str:
    """Return a digest of some values of every weight: it differs after a single step of training."""
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        some = weight.flatten()[:_FINGERPRINT_VALUES].float().cpu().numpy()
        digest.update(name.encode() + some.tobytes())
    return digest.hexdigest()[:12]
