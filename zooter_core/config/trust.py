"""Decides where API keys may be sent. A stranger's fleet.toml could name any secret of the environment and any server.

Without permission, any key may be sent to this machine, a provider's key to that provider, and a key in a variable for
your own model servers (MODEL_SERVERS) to any server. Every other pair of variable and server must be allowed once: at
the terminal, by `zooter trust`, or in $ZOOTER_TRUST. Permissions belong to pairs and not to fleets: a fleet.toml that
names another server needs another permission.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.files import atomic, private_folder, writing
from zooter_core.base.hosts import DEFAULT_PORTS, Host, host_name, is_loopback

TRUST = "ZOOTER_TRUST"  # an environment variable with pairs such as MY_KEY=https://models.example.org
PROVIDERS = {  # variable -> hosts
    "ANTHROPIC_API_KEY": ("api.anthropic.com",),
    "CEREBRAS_API_KEY": ("api.cerebras.ai",),
    "COHERE_API_KEY": ("api.cohere.ai", "api.cohere.com"),
    "DEEPINFRA_API_KEY": ("api.deepinfra.com",),
    "DEEPSEEK_API_KEY": ("api.deepseek.com",),
    "FIREWORKS_API_KEY": ("api.fireworks.ai",),
    "GEMINI_API_KEY": ("generativelanguage.googleapis.com",),
    "GROQ_API_KEY": ("api.groq.com",),
    "HF_TOKEN": ("router.huggingface.co",),
    "MISTRAL_API_KEY": ("api.mistral.ai", "codestral.mistral.ai"),
    "NVIDIA_API_KEY": ("integrate.api.nvidia.com",),
    "OPENAI_API_KEY": ("api.openai.com", "eu.api.openai.com", "us.api.openai.com"),
    "OPENROUTER_API_KEY": ("openrouter.ai",),
    "PERPLEXITY_API_KEY": ("api.perplexity.ai",),
    "TOGETHER_API_KEY": ("api.together.ai", "api.together.xyz"),
    "XAI_API_KEY": ("api.x.ai",),
}
MODEL_SERVERS = re.compile(r"(VLLM|SGLANG|TGI|LLAMA_CPP|OLLAMA|LITELLM|LLM|MODEL|JUDGE|REWARD|TAGGER)_(API_)?KEY")


def provider_key(url: str) -> str | None:
    """The variable that usually holds the key of the provider at an address; None for any other server."""
    host = _parts(url).hostname
    return next((variable for variable, hosts in PROVIDERS.items() if host in hosts), None)


def on_this_machine(url: str) -> bool:
    """Whether the host of an address is this machine."""
    return is_loopback(_parts(url).hostname or "")


def server_address(url: str) -> str:
    """The server at an address, as https://host:port."""
    parts = _parts(url)
    name = host_name(parts.hostname or "") or quote(parts.hostname or "")  # a space would start another pair
    port = None if parts.port == DEFAULT_PORTS.get(parts.scheme) else parts.port
    return f"{parts.scheme}://{Host(name, port)}"


def is_allowed(variable: str, url: str) -> bool:
    """Whether the key in a variable may be sent to an address."""
    name = host_name(_parts(url).hostname or "")
    if on_this_machine(url) or MODEL_SERVERS.fullmatch(variable) or name in PROVIDERS.get(variable, ()):
        return True
    return f"{variable}={server_address(url)}" in {*_trusted(), *os.environ.get(TRUST, "").split()}


def check_uses(uses: Iterable[tuple[str, str]], fleet: str | Path = "DIR") -> None:
    """Refuse keys that may not be sent.

    Args:
        uses: pairs of a variable and the address to which its key would be sent.
        fleet: the folder of the fleet that names the variables, for the message.

    Raises:
        ZooterError: some keys may not be sent; the message lists them.
    """
    if refused := dict.fromkeys(
        (variable, server_address(url)) for variable, url in uses if not is_allowed(variable, url)
    ):
        shown = listed(f"{variable} to {server}" for variable, server in refused)
        pairs = " ".join(map("=".join, refused))
        raise ZooterError.saying(
            f"The fleet asks to send secrets of this machine's environment: {shown}. This is not allowed yet.",
            f"If you trust the fleet: zooter trust {fleet}, or export {TRUST}='{pairs}'.",
        )


def trust(uses: Iterable[tuple[str, str]]) -> None:
    """Allow keys to be sent from now on.

    Raises:
        WorkError: the file cannot be written.
    """
    path = trust_file()
    lines = dict.fromkeys([*_trusted(), *(f"{variable}={server_address(url)}" for variable, url in uses)])
    with writing(path):
        private_folder(path.parent, ours=False)
        with atomic(path, private=True) as partial:
            partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def trust_file() -> Path:
    """The file of allowed pairs, one per line, in the user's configuration folder."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")) / "zooter" / "trusted-keys"


def _parts(url: str) -> SplitResult:
    """The parts of an address; empty if it is malformed, which is reported on use."""
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else urlsplit("")
    except ValueError:
        return urlsplit("")


def _trusted() -> list[str]:
    try:
        return trust_file().read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):  # missing or not readable
        return []
