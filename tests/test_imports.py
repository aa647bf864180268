"""What an installation without extras can import, and what importing costs."""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"

EXTRAS = [
    "transformers",
    "peft",
    "datasets",
    "tensorboard",
    "accelerate",
    "bitsandbytes",
    "pytest",
    "hypothesis",
    "jinja2",
    "gradio",
    "fastapi",
    "torchvision",
    "flash_attn",
    "daft",
    "faiss",
    "matplotlib",
    "scipy",
    "pandas",
]

ALL_MODULES = f"""
import importlib, pkgutil, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"refused: {{name}}", name=name)
sys.meta_path.insert(0, Refuse())
import vl3
names = [module.name for module in pkgutil.walk_packages(vl3.__path__, "vl3.") if not module.name.endswith("__main__")]
names.remove("vl3.eval.lmms_plugin")  # only ever imported by lmms-eval
names = [name for name in names if not name.startswith(("vl3.serve.", "vl3.ui."))]  # rooms that are extras as a whole
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_imports_with_the_runtime_dependencies_only() -> None:
    files = [path for path in SOURCE.rglob("*.py") if {"serve", "ui"}.isdisjoint(path.parts)]
    assert int(run(ALL_MODULES)) >= len(files) - 10


def test_the_api_comes_without_the_page() -> None:
    loaded = run("import sys, vl3.serve.app; print(' '.join(sys.modules))").split()
    assert "gradio" not in loaded


def test_importing_the_package_and_asking_for_help_is_quick() -> None:
    heavy = {"torch", "numpy", "av", "PIL", "transformers", "rich"}
    loaded = run("import sys, vl3; print(' '.join(sys.modules))").split()
    assert heavy.isdisjoint(loaded)
    code = (
        "import sys\nfrom vl3.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('modules:', *sys.modules)"
    )
    loaded = run(code).rpartition("modules:")[2].split()
    assert heavy.isdisjoint(loaded)


def test_the_media_worker_starts_without_torch() -> None:
    assert "torch" not in run("import sys, vl3.media.worker; print(' '.join(sys.modules))").split()


def test_the_workers_of_curation_start_without_torch() -> None:
    loaded = run("import sys, vl3.curate.runner; print(' '.join(sys.modules))").split()
    assert {"torch", "daft", "faiss", "pyarrow"}.isdisjoint(loaded)
