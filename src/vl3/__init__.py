"""vl3: VideoLLaMA3 as software.

import vl3
assistant = vl3.load()  # the small model that comes with vl3; or vl3.load("DAMO-NLP-SG/VideoLLaMA3-2B")
print(assistant.ask("clip.mp4", "What happens?"))
"""

from typing import TYPE_CHECKING, Any

from vl3.errors import UserError

if TYPE_CHECKING:
    from vl3.generate import Answer, Assistant, Conversation, load

__version__ = "0.1.0"
__all__ = ["Answer", "Assistant", "Conversation", "UserError", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Names that need torch are imported when first used (PEP 562), so that `import vl3` is quick."""
    if name in __all__:
        from vl3 import generate

        return vars(generate)[name]
    raise AttributeError(f"module 'vl3' has no attribute {name!r}")
