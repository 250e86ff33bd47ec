"""What decides a candidate beside its prompt: whose it is, and how it was sampled. Kept candidates of others never mix in."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from prm_eval.harness.options import PLAIN_KEYS, ROLE_KEYS
from prm_eval.store.jsonl import canonical_json

# Arguments of a model that say where and how fast it runs, not what it writes. The seed is among them: a run that goes on
# must have another one. An argument that is not listed counts, which at worst sets candidates aside.
HOW_IT_RUNS = set(
    """batch_size max_batch_size device device_map_option parallelize max_memory_per_gpu max_cpu_memory offload_folder
    gpu_memory_utilization tensor_parallel_size data_parallel_size max_num_seqs enforce_eager low_cpu_mem_usage
    logits_cache num_concurrent max_retries timeout verify_certificate ca_cert_path use_fast_tokenizer seed
    version prm_eval config_source""".split()
)
SECRET = re.compile(r"(?i)header|password|secret|auth|api_?key|access_?key|(^|hf_|access_)token$")
VALUES_A_TENSOR = 16  # of its beginning, for the fingerprint: training changes them all


def unwrapped(model: Any) -> Any:
    """Look through lm_eval's cache wrapper (``--use_cache``) at the language model."""
    return getattr(model, "__dict__", {}).get("lm", model)


def policy_identity(model: Any, metadata: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be equal for kept candidates to be of use, as JSON; it holds no secret.

    Args:
        model: The language model, as lm_eval built it.
        metadata: Of the task: lm_eval merges ``--model_args`` into it.
        arguments: The generation arguments, as they are used.
    """
    model = unwrapped(model)
    ours = {*PLAIN_KEYS, *ROLE_KEYS, *HOW_IT_RUNS}
    given = {str(key): value for key, value in metadata.items() if key not in ours and not SECRET.search(str(key))}
    known = {
        name: value
        for name in ("pretrained", "model", "base_url", "revision", "peft", "delta")
        if isinstance(value := getattr(model, name, None), str)
    }
    identity = {
        "backend": f"{type(model).__module__}.{type(model).__qualname__}",
        "policy": known | given,
        "weights": weights_fingerprint(model),
        "arguments": dict(arguments),
    }
    plain: dict[str, Any] = json.loads(json.dumps(identity, default=str, sort_keys=True))
    return plain


def identity_name(identity: Mapping[str, Any]) -> str:
    """Return twelve hexadecimal digits that stand for an identity in file names."""
    return hashlib.sha256(canonical_json(dict(identity))).hexdigest()[:12]


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Say in a few words how another identity differs: ``temperature 0.7, not 1.0``."""
    mine, other = _flat(ours), _flat(theirs)
    found = [
        f"{key} {other.get(key, 'not given')}, not {mine.get(key, 'given')}"
        for key in sorted({*mine, *other})
        if mine.get(key) != other.get(key)
    ]
    return "; ".join(found[:4]) + (f"; and {len(found) - 4} more" if len(found) > 4 else "")


def weights_fingerprint(model: Any) -> str | None:
    """Return a hash over the names, shapes and first values of all tensors of a torch model; None without one at hand.

    It tells a checkpoint from another that was written over it under the same name.
    """
    module: Any = getattr(model, "model", None)
    if not callable(getattr(module, "named_parameters", None)):
        return None
    digest = hashlib.sha256()
    for name, tensor in module.named_parameters():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        # a tensor that is elsewhere (meta), or spread over several processes, has no values to read here
        if tensor.device.type != "meta" and not hasattr(tensor, "to_local"):
            digest.update(tensor.detach().reshape(-1)[:VALUES_A_TENSOR].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:32]


def _flat(identity: Mapping[str, Any]) -> dict[str, str]:
    flat = {key: str(value) for key, value in identity.items() if not isinstance(value, dict)}
    for part in (value for value in identity.values() if isinstance(value, dict)):
        flat |= {str(key): json.dumps(value, ensure_ascii=True)[:80] for key, value in part.items()}
    return flat
