"""What a person sees while a model trains: a bar in a terminal, a line now and then elsewhere."""

import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class TrainingProgress(TrainerCallback):
    """Bar with loss, the task's headline metric on validation, and the time left; on standard error."""

    def __init__(self, headline: str) -> None:
        self.headline = headline
        self._last: dict[str, float] = {}
        self._console = Console(stderr=True)
        self._bar: Progress | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._start, self._first_step = time.perf_counter(), state.global_step
        self._console.quiet = not state.is_world_process_zero
        if state.global_step:
            self._console.print(f"resuming at step {state.global_step}")
        if self._console.is_terminal and not self._console.quiet:
            self._bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task("", total=state.max_steps, completed=state.global_step)
            self._bar.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        names = {"loss": "loss", f"eval_{self.headline}": f"val {self.headline}"}
        fresh = {shown: logs[name] for name, shown in names.items() if name in (logs or {})} if logs else {}
        self._last |= fresh
        text = "  ".join(f"{name} {value:.3f}" for name, value in self._last.items())
        if self._bar is not None:
            self._bar.update(self._task, description=text)
        elif f"val {self.headline}" in fresh:
            speed = (state.global_step - self._first_step) / (time.perf_counter() - self._start)
            self._console.print(f"step {state.global_step}/{state.max_steps}  {text}  {speed:.2f} steps/s")

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        self.stop()

    def stop(self) -> None:
        """Give the terminal back; also after an error."""
        if self._bar is not None:
            self._bar.stop()
