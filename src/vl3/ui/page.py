"""The page itself: what is where, and what happens on a click. Gradio is met here and in `vl3.ui.mount` only."""

import html
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

import vl3
from vl3.errors import UserError
from vl3.media import MediaInfo
from vl3.ui.desk import Desk
from vl3.ui.strip import served
from vl3.ui.talk import Choice, Talks, View

HERE = Path(__file__).parent
THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
"""Fonts of the reader's machine: the page loads nothing from elsewhere."""
RULES = [
    ("as published", "published"),
    ("off", "off"),
    ("keep what changed by more grey levels than", "grey"),
    ("keep the share that changed most", "keep"),
    ("keep so many tokens that changed most", "budget"),
]
NUMBERS = {"published": 0.0, "off": 0.0, "grey": 4.0, "keep": 0.5, "budget": 1000.0}
"""What a rule's number is at first; the first two have none."""


class Example(NamedTuple):
    """A question to try."""

    file: str
    question: str


EXAMPLES = (
    Example("city.jpg", "What is this?"),
    Example("city.mp4", "What is in this video?"),
)


def examples_folder() -> Path | None:
    """Where the example media are: in an installed package, or in the repository."""
    package = Path(vl3.__file__).parent
    folders = (package / "assets", package.parents[1] / "assets")
    return next((folder for folder in folders if (folder / EXAMPLES[0].file).is_file()), None)


class _Controls(NamedTuple):
    """What a question is made of, in the order in which handlers take it: the components, or what they say."""

    question: Any
    files: Any
    player: Any
    fps: Any
    max_frames: Any
    max_visual_tokens: Any
    prune: Any
    prune_number: Any
    max_new_tokens: Any
    temperature: Any


class _Shown(NamedTuple):
    """What handlers change."""

    chat: gr.Chatbot
    frames: gr.HTML
    notice: gr.HTML
    ask: gr.Button
    stop: gr.Button


def build(desk: Desk) -> gr.Blocks:
    """The page over a desk. It does not listen yet."""
    expiry_s = max(1, round(desk.config.file_expiry_s))
    cleaning = (min(600, expiry_s), expiry_s)
    with gr.Blocks(title=f"vl3: {desk.config.model_name}", analytics_enabled=False, delete_cache=cleaning) as page:
        gr.Markdown(f"## vl3 \u00b7 {html.escape(desk.config.model_name)}\nDrop images or a video, and ask about them.")
        with gr.Row():
            with gr.Column(scale=5, min_width=320):
                files = gr.File(label="Images or a video", file_count="multiple", height=140, elem_id="files")
                player = _player()
                thumbnails = gr.HTML(elem_id="pictures")
                settings = _settings(desk)
            with gr.Column(scale=6, min_width=320):
                question, shown, buttons = _conversation(desk)
        controls = _Controls(question, files, player, *settings)
        _wire(desk, page, controls, shown, thumbnails, buttons)
    page.max_threads += desk.config.max_requests  # each question that waits holds one
    page.queue(max_size=desk.config.max_requests, default_concurrency_limit=None, api_open=False)
    return page


def _player() -> gr.HTML:
    return gr.HTML(
        None,
        html_template=(HERE / "player.html").read_text(encoding="utf-8"),
        js_on_load=(HERE / "player.js").read_text(encoding="utf-8"),
        elem_id="player",
    )


def _settings(desk: Desk) -> tuple[Any, ...]:
    """Frames, pruning and the answer: the components, in the order of `_Controls`."""
    config = desk.checkpoint.processor
    sampling = config.sampling
    with gr.Accordion("Frames and pruning", open=False, elem_id="frames-settings"):
        fps = gr.Slider(0.1, 10, sampling.fps, step=0.1, label="Frames a second", elem_id="fps")
        most = sampling.max_frames
        frames = gr.Slider(1, most, most, step=1, label="Most frames", elem_id="max-frames")
        most = config.max_tokens
        tokens = gr.Slider(min(64, most), most, most, step=1, label="Most visual tokens, before pruning")
        prune = config.prune
        rule = gr.Radio(RULES, value=prune.mode, label="Pruning of unchanged tokens (DiffFP)", elem_id="prune")
        number = gr.Number(
            prune.value, label="Grey levels, share or tokens", visible=_has_number(prune.mode), elem_id="prune-number"
        )
        rule.change(
            lambda mode: gr.update(value=NUMBERS[mode], visible=_has_number(mode)),
            rule,
            number,
            queue=False,
            api_visibility="private",
        )
    with gr.Accordion("Answer", open=False):
        length = gr.Slider(1, desk.config.max_new_tokens, 512, step=1, label="Most tokens of the answer")
        temperature = gr.Slider(0, 2, 0, step=0.1, label="Temperature (0: always the likeliest words)")
    return fps, frames, tokens, rule, number, length, temperature


def _conversation(desk: Desk) -> tuple[gr.Textbox, _Shown, tuple[Any, ...]]:
    """The chat, the question's field, and the buttons (preview, clear, examples)."""
    chat = gr.Chatbot(
        label=desk.config.model_name,
        elem_id="chat",
        height=420,
        buttons=["copy"],
        latex_delimiters=[],
        placeholder="Answers come here. A click on a time in an answer takes the player there.",
    )
    notice = gr.HTML(elem_id="notice")
    with gr.Row(equal_height=True):
        question = gr.Textbox(
            show_label=False,
            container=False,
            placeholder="Ask a question",
            scale=6,
            min_width=160,
            max_lines=6,
            elem_id="question",
        )
        ask = gr.Button("Ask", variant="primary", scale=1, min_width=70, elem_id="ask")
        stop = gr.Button("Stop", variant="stop", scale=1, min_width=70, visible=False, elem_id="stop")
    folder = examples_folder()
    examples = []
    with gr.Row(elem_id="examples"):
        for example in EXAMPLES:
            if folder is not None:
                button = gr.Button(f"{example.file}: {example.question}", size="sm", min_width=140)
                examples.append((button, str(folder / example.file), example.question))
        clear = gr.Button("New talk", size="sm", min_width=80, elem_id="clear")
    with gr.Row():
        gr.Markdown("**What the model saw**")
        preview = gr.Button("Show without asking", size="sm", min_width=140, scale=0, elem_id="preview")
    frames = gr.HTML(elem_id="frames")
    return question, _Shown(chat, frames, notice, ask, stop), (preview, clear, examples)


def _wire(
    desk: Desk, page: gr.Blocks, controls: _Controls, shown: _Shown, thumbnails: gr.HTML, buttons: tuple[Any, ...]
) -> None:
    """What happens when. Nothing of it is offered to programs: they have the API."""
    talks = Talks()
    preview, clear, examples = buttons
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def look(paths: list[str] | None, request: gr.Request) -> tuple[Any, str, str]:
        try:
            infos = desk.look([Path(path) for path in paths or ()])
            talk = talks.of(_session(request))
            return _player_value(talk.number, infos), desk.thumbnails(infos), ""
        except UserError as error:
            return None, "", _notice(str(error))

    def ask(request: gr.Request, *said: Any) -> Iterator[tuple[Any, ...]]:
        try:
            talk = talks.of(_session(request))
            choice = _choice(desk, _Controls(*said))
        except UserError as error:
            yield gr.skip(), gr.skip(), _notice(str(error)), gr.skip(), gr.skip(), gr.skip()
            return
        for view in desk.ask(talk, said[0] or "", choice):
            yield _updates(view)

    def show(request: gr.Request, *said: Any) -> tuple[Any, str]:
        try:
            return desk.preview(talks.of(_session(request)), _choice(desk, _Controls(*said))), ""
        except UserError as error:
            return gr.skip(), _notice(str(error))

    def anew(request: gr.Request) -> tuple[Any, ...]:
        talks.end(_session(request))
        return _updates(View([]))

    def stop(request: gr.Request) -> None:
        talks.of(_session(request)).stop()

    def gone(request: gr.Request) -> None:
        talks.end(_session(request))

    controls.files.change(look, controls.files, [controls.player, thumbnails, shown.notice], **private)
    outputs = [*shown[:3], controls.question, *shown[3:]]
    gr.on([controls.question.submit, shown.ask.click], ask, [*controls], outputs, **private)
    preview.click(show, [*controls], [shown.frames, shown.notice], **private)
    shown.stop.click(stop, queue=False, **private)
    gr.on([clear.click, shown.chat.clear], anew, None, outputs, queue=False, **private)
    for button, path, question in examples:
        button.click(lambda p=path, q=question: ([p], q), None, [controls.files, controls.question], **private)
    page.unload(gone)


def _session(request: gr.Request) -> str:
    if request.session_hash is None:
        raise UserError("this page is asked by a browser; programs ask /v1/chat/completions")
    return request.session_hash


def _choice(desk: Desk, said: _Controls) -> Choice:
    """The controls' values; what stands as the checkpoint has it is left to it."""
    config = desk.checkpoint.processor
    player = said.player or None  # "" where a video has given way to pictures
    try:
        trimmed = {} if player is None else {"start_s": float(player["from"]), "end_s": float(player["to"])}
        if player is not None and player["from"] <= player["first"]:
            trimmed.pop("start_s")
        if player is not None and player["to"] >= player["end"]:
            trimmed.pop("end_s")
        return Choice(
            files=tuple(Path(str(path)) for path in said.files or ()),
            fps=_unless(config.sampling.fps, float(said.fps)),
            max_frames=_unless(config.sampling.max_frames, int(said.max_frames)),
            max_visual_tokens=_unless(config.max_tokens, int(said.max_visual_tokens)),
            prune=_unless(_rule(config.prune.mode, config.prune.value), _rule(said.prune, said.prune_number)),
            max_new_tokens=int(said.max_new_tokens),
            temperature=float(said.temperature),
            **trimmed,
        )
    except (TypeError, ValueError, KeyError) as error:
        raise UserError("a setting is empty or not a number: give all of them") from error


def _unless(default: Any, value: Any) -> Any:
    return None if value == default else value


def _has_number(mode: str) -> bool:
    return mode not in ("published", "off")


def _rule(mode: str, number: float) -> str:
    """A pruning rule as the command line writes it."""
    return f"{mode}={number:g}" if _has_number(mode) else mode


def _player_value(number: Callable[[Path], int], infos: list[MediaInfo]) -> dict[str, Any] | None:
    """What the player is told of the video among the files, if there is one."""
    for info in infos:
        if info.kind == "video":
            first, end = info.times_s[0], info.times_s[0] + info.duration_s
            source = served(Path(info.name))
            return {
                "number": number(Path(info.name)), "src": source, "first": first, "end": end, "from": first, "to": end
            }  # fmt: skip
    return None


def _updates(view: View) -> tuple[Any, ...]:
    """For chat, frames, notice, question, ask, stop."""
    return (
        view.bubbles,
        view.frames,
        _notice(view.notice),
        gr.update(value=view.question, interactive=not view.asking),
        gr.update(visible=not view.asking),
        gr.update(visible=view.asking),
    )


def _notice(text: str) -> str:
    return f'<div class="vl3-notice" role="alert">{html.escape(text)}</div>' if text else ""
