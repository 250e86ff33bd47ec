"""A stranger's checkpoint, read strictly before any library reads it: what is wrong is one line, and nothing hangs.

Libraries take the last of two equal keys, wait for a pipe for ever, build a million layers if a config says so, and
raise whatever comes to them. What they would read is therefore looked at first: the kinds of files, the configs and
the headers of weight files.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, ModelError
from prm_eval.rewards.inputs.limited import try_tokenizer
from prm_eval.store.jsonl import repeated
from prm_eval.store.rules import bad_characters, shown
from prm_eval.store.safe_json import read_bytes

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
# read by AutoTokenizer beside tokenizer.json
TOKENIZER_CONFIGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
# transformers looks for templates one level below
TEMPLATES = "additional_chat_templates"
MAX_CONFIG_BYTES = 64 * 1024 * 1024
MAX_TOKENIZER_BYTES = 512 * 1024 * 1024
# as safetensors itself
MAX_HEADER_BYTES = 100_000_000
MOST_FILES = 10_000
MOST_NUMBERS = 2**63
# a normalizer in a normalizer
MOST_NESTED = 8
# characters that a tokenizer may write in the place of one, by all of its replacements together
MOST_WRITTEN = 256
# bits of a number of a tensor, by the names in headers
BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I64": 64, "I32": 32,
    "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8, "C64": 64, "F4": 4, "F6_E2M3": 6,
    "F6_E3M2": 6,
}  # fmt: skip
FLOATS = ("F64", "F32", "F16", "BF16")
DTYPES = re.compile(r"(torch\.)?(auto|half|float|double|float(16|32|64|8_\w+)|bfloat16)")


@dataclass(frozen=True)
class Tensor:
    """A tensor as the header of a weight file describes it."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of its numbers; of more than any file holds only that it is so."""
        count = 1
        for side in self.shape:
            count *= side
            # a million sides of a million digits would be multiplied for hours
            if count > MOST_NUMBERS:
                break
        return count


def fault(path: Path, found: str, expected: str) -> ModelError:
    """Return the error for a file of a checkpoint: a line with the file, what was found and what was expected."""
    return ModelError(f"{path}: found {found}; expected {expected}")


def require_plain_files(folder: Path) -> None:
    """Refuse a folder with pipes, sockets or devices, on which a reader would wait, or never end.

    Raises:
        ModelError: Names the file.
    """
    for path in _entries(folder):
        try:
            mode = path.stat().st_mode
        except OSError:
            # a link that leads nowhere is a file that is not there
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise fault(path, f"something that is not a plain file ({stat.filemode(mode)})", "a plain file")


def _entries(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / TEMPLATES):
        if place.is_dir():
            with os.scandir(place) as entries:
                for number, entry in enumerate(entries):
                    if number == MOST_FILES:
                        raise fault(place, f"more than {MOST_FILES:,} files", "those of a checkpoint")
                    yield Path(entry.path)


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a checkpoint; the numbers that JSON has not are let pass, as Mamba's.

    Raises:
        ModelError: It cannot be read, is no JSON object, is nested too deeply or has a key twice.
    """
    try:
        return parse_object(path, read_bytes(path, MAX_CONFIG_BYTES, links=True))
    except DataError as error:
        raise fault(path, error.found, error.expected) from None


def parse_object(path: Path, text: bytes) -> dict[str, Any]:
    """Return the JSON object that stands in a file.

    Raises:
        ModelError: As :func:`read_json_object`.
    """
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except RecursionError:
        raise fault(path, "JSON that is nested too deeply", "a JSON object") from None
    except ValueError as error:
        raise fault(path, f"text that is not plain JSON ({ascii(str(error))[1:-1][:120]})", "a JSON object") from None
    if not isinstance(value, dict):
        raise fault(path, f"a JSON {type(value).__name__}", "a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the key {repeated(pairs)[:80]!r} twice")
    return found


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e30


def _token(value: Any) -> bool:
    alone = _whole(-1, 10**8)
    return alone(value) or (isinstance(value, list) and len(value) < 1_000 and all(map(alone, value)))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


SIZES = ("hidden_size", "n_embd", "intermediate_size", "n_inner", "vocab_size", "head_dim", "moe_intermediate_size")
HEADS = ("num_attention_heads", "n_head", "num_key_value_heads", "num_experts", "num_local_experts", "n_routed_experts")
FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model_type": (lambda value: isinstance(value, str), "a text"),
    "architectures": (_texts, "a list of texts"),
    "num_labels": (_whole(1, 10_000), "a whole number from 1 to 10,000"),
    **dict.fromkeys(SIZES, (_whole(1, 10**8), "a whole number from 1 to 100,000,000")),
    **dict.fromkeys(HEADS, (_whole(1, 100_000), "a whole number from 1 to 100,000")),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), (_whole(1, 10**12), "a whole number of at least 1")),
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), (_token, "the id of a token")),
    **dict.fromkeys(
        ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "rope_theta"), (_positive, "a number above 0")
    ),
    **dict.fromkeys(
        ("dtype", "torch_dtype"),
        (lambda value: isinstance(value, str) and bool(DTYPES.fullmatch(value)), "the name of a floating-point dtype"),
    ),
    "tie_word_embeddings": (lambda value: isinstance(value, bool), "true or false"),
    "transformers_weights": (lambda value: False, "none: weights are those of model.safetensors, or of its index"),
}
"""Fields of a config, with what they must be where they are given and not null."""
_LAYERS = re.compile(r"\w*layers?")
_LAYER_COUNT = (_whole(-1, 1_000), "at most 1,000 layers")


def check_config(path: Path) -> None:
    """Insist on a ``config.json`` of which a model of some real size can be made.

    Raises:
        ModelError: Names the file, the field, what was found and what was expected.
    """
    content = read_json_object(path)
    require_plain_texts(path, content)
    _check_fields(path, content, "", 0)


def require_plain_texts(path: Path, content: Any) -> None:
    """Refuse control and invisible characters in a config: libraries print its texts as they are.

    Raises:
        ModelError: Names the text.
    """
    left: list[Any] = [content]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and bad_characters(value):
            raise fault(path, f"the text {shown(value)}", "texts without control or invisible characters")


def _check_fields(path: Path, content: Mapping[str, Any], where: str, depth: int) -> None:
    for key, value in content.items():
        rule = FIELDS.get(key)
        if rule is None and isinstance(value, int) and _LAYERS.fullmatch(key):
            rule = _LAYER_COUNT
        if rule is not None and value is not None and not rule[0](value):
            raise fault(path, f"{where}{key} = {shown(value)}", rule[1])
        if key == "quantization_config" and isinstance(value, dict):
            _check_quantization(path, value)
        if isinstance(value, dict) and key.endswith("config") and depth < 4:
            _check_fields(path, value, f"{where}{key}.", depth + 1)
    pad, vocabulary = content.get("pad_token_id"), content.get("vocab_size")
    if isinstance(pad, int) and isinstance(vocabulary, int) and pad >= vocabulary:
        raise fault(path, f"{where}pad_token_id = {pad}", f"an id below vocab_size, {vocabulary}")


def _check_quantization(path: Path, content: Mapping[str, Any]) -> None:
    method = content.get("quant_method")
    try:
        from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING as KNOWN
    except ImportError:
        return
    # bitsandbytes once wrote none
    if method is not None and str(method) not in KNOWN:
        raise fault(path, f"quantization_config.quant_method = {shown(method)}", f"one of {', '.join(sorted(KNOWN))}")


def check_tokenizer_config(path: Path) -> None:
    """Insist on a config of a tokenizer that does not name another file for it.

    Raises:
        ModelError: As :func:`read_json_object`, or it names other files.
    """
    files = read_json_object(path).get("fast_tokenizer_files")
    # transformers takes one of them by its version, which is neither looked at here nor part of the model's identity
    if files is not None and files != [TOKENIZER]:
        raise fault(path, f"fast_tokenizer_files = {shown(files)}", f"none: the tokenizer is {TOKENIZER}")


def check_tokenizer(path: Path) -> None:
    """Insist on a ``tokenizer.json`` that ends, and that makes no texts of a character.

    Raises:
        ModelError: Names the file, what was found and what was expected.
    """
    if path.stat().st_size > MAX_TOKENIZER_BYTES:
        raise fault(path, f"{path.stat().st_size:,} bytes", f"at most {MAX_TOKENIZER_BYTES:,}")
    content = parse_object(path, path.read_bytes())
    written = 1
    for part in _parts(path, content.get("normalizer"), 0):
        text = part.get("content", part.get("prepend"))
        written *= max(1, len(text)) if isinstance(text, str) else 1
    if written > MOST_WRITTEN:
        raise fault(path, f"a normalizer that writes {written:,} characters for one", f"at most {MOST_WRITTEN}")
    try_tokenizer(path)


def _parts(path: Path, normalizer: Any, depth: int) -> Iterator[dict[str, Any]]:
    if normalizer is None:
        return
    if not isinstance(normalizer, dict) or depth == MOST_NESTED:
        what = "nested too deeply" if isinstance(normalizer, dict) else shown(normalizer)
        raise fault(path, f"a normalizer: {what}", f"an object, at most {MOST_NESTED} deep")
    yield normalizer
    parts = normalizer.get("normalizers", [])
    if not isinstance(parts, list):
        raise fault(path, f"normalizers = {shown(parts)}", "a list")
    for part in parts:
        yield from _parts(path, part, depth + 1)


def header_of(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, by name, from its header alone.

    Raises:
        ModelError: The header is malformed, has a tensor twice, or says other sizes than the file has.
    """
    expected = "a safetensors file"
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(MAX_HEADER_BYTES, size - 8):
            raise fault(path, f"{size:,} bytes without a header of that format", expected)
        content = parse_object(path, stream.read(length))
    tensors: dict[str, Tensor] = {}
    ends: list[tuple[int, int, str]] = []
    for name, about in content.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape, (begin, end) = str(about["dtype"]), tuple(about["shape"]), about["data_offsets"]
            tensor = Tensor(dtype, shape)
            whole = all(isinstance(each, int) and each >= 0 for each in (*shape, begin, end))
            right = whole and dtype in BITS and -(-tensor.size * BITS[dtype] // 8) == end - begin
        except (KeyError, TypeError, ValueError):
            right = False
        if not right:
            raise fault(path, f"the tensor {shown(name)} described as {shown(about)}", "dtype, shape and their bytes")
        tensors[name] = tensor
        ends.append((begin, end, name))
    at = 0
    for begin, end, name in sorted(ends):
        if begin != at:
            raise fault(path, f"the tensor {shown(name)} at byte {begin:,}", f"it at {at:,}, one after the other")
        at = end
    if at != size - 8 - length:
        raise fault(path, f"{size - 8 - length:,} bytes of tensors", f"{at:,}, as its header says")
    return tensors


def require_once(tensors: Mapping[Path, Mapping[str, Tensor]]) -> None:
    """Refuse weight files that have a tensor twice, in two files or under two names that are loaded as one.

    Raises:
        ModelError: Names both places.
    """
    seen: dict[str, tuple[Path, str]] = {}
    for path, names in tensors.items():
        for name in names:
            before = seen.setdefault(_loaded_as(name), (path, name))
            if before != (path, name):
                place = before[0].name if before[0] != path else "this file"
                raise fault(path, f"the tensor {shown(name)}", f"it once; {place} has {shown(before[1])}")


def _loaded_as(name: str) -> str:
    """Return the name by which transformers and peft load a tensor, without the prefixes that they add or drop."""
    name = re.sub(r"\.(lora_\w+)\.default\.", r".\1.", name)
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        # transformers once renamed those of layer norms
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return re.sub(r"^(base_model\.)?(model|transformer|gpt_neox|base_model)\.", "", name)


def require_floats(tensors: Mapping[Path, Mapping[str, Tensor]], quantized: bool) -> None:
    """Refuse weights in whole numbers, unless a quantization says what they mean.

    Raises:
        ModelError: Names the tensor.
    """
    for path, names in tensors.items():
        for name, tensor in names.items():
            if name.endswith(".weight") and tensor.dtype not in FLOATS and not quantized:
                raise fault(path, f"the tensor {shown(name)} of {tensor.dtype}", f"one of {', '.join(FLOATS)}")


def require_size(config: Any, tensors: Mapping[Path, Mapping[str, Tensor]], name: str) -> None:
    """Refuse a config of a far larger model than the weights are of, before that model is made.

    Raises:
        ModelError: Names the sizes of the config.
    """
    stored = sum(tensor.size for names in tensors.values() for tensor in names.values())
    count = sum(map(len, tensors.values()))
    text = config.get_text_config()

    def size(key: str) -> int:
        value = getattr(text, key, None)
        return value if isinstance(value, int) else 1

    layers, width = size("num_hidden_layers"), size("hidden_size")
    described = {
        "vocab_size x hidden_size": size("vocab_size") * width,
        "num_hidden_layers x hidden_size x intermediate_size": layers * width * size("intermediate_size"),
    }
    if layers > count:
        raise ModelError(f"{name}: {CONFIG} says num_hidden_layers = {layers:,}; found {count:,} tensors")
    for what, numbers in described.items():
        # packed weights hold up to eight numbers in one
        if numbers > 8 * stored:
            raise ModelError(f"{name}: {CONFIG} says {what} = {numbers:,}; found weights of {stored:,} numbers")
