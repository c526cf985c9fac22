"""An nbclient that tells the journal what each message of the kernel did to the notebook.

nbclient's own methods decide: what they appended, cleared or changed is what is told, once, in the form it was kept. What
an Output widget captures doesn't become a cell's output but part of the widget's state, there as here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import output_from_msg
from papermill.clientwrap import PapermillNotebookClient


class FollowedClient(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client, its outputs told to its record as they come."""

    async def async_execute_cell(self, cell: NotebookNode, cell_index: int, *arguments: Any, **options: Any) -> Any:
        """Execute a cell."""
        try:
            return await super().async_execute_cell(cell, cell_index, *arguments, **options)
        finally:
            if self.coalesce_streams and cell.get("outputs"):  # which nbclient has only now put together
                self._tell({"outputs": cell_index, "are": cell.outputs})

    def process_message(self, message: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Process a message."""
        count = message["content"].get("execution_count")
        if count is not None and count != cell.get("execution_count"):
            self._tell({"count": count, "of": cell_index})
        return super().process_message(message, cell, cell_index)

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Take an output."""
        widget = self._capturing(msg)
        clears = (widget or self).clear_before_next_output
        output = super().output(outs, msg, display_id, cell_index)
        if widget:
            self._tell({"captured": widget.comm_id, "as": output_from_msg(msg), "clears": clears})
        elif output:
            self._tell({"output": cell_index, "as": output, "id": display_id, "clears": clears})
        return output

    def clear_output(self, outs: list[Any], msg: dict[str, Any], cell_index: int) -> None:
        """Clear outputs, unless the next output does."""
        super().clear_output(outs, msg, cell_index)
        if not msg["content"].get("wait"):
            widget = self._capturing(msg)
            self._tell({"captured": widget.comm_id, "clears": True} if widget else {"clear": cell_index})

    def handle_comm_msg(self, outs: list[Any], msg: dict[str, Any], cell_index: int) -> None:
        """Take a message of a widget."""
        super().handle_comm_msg(outs, msg, cell_index)
        comm, data = msg["content"]["comm_id"], msg["content"]["data"]
        if not self.store_widget_state or "state" not in data:
            return
        state = dict(data["state"])
        if data.get("method") == "echo_update" and comm in self.comm_objects:
            state.pop("outputs", None)  # our own words: telling all that was captured each time would be quadratic
        buffers = self._get_buffer_data(msg) if data.get("buffer_paths") else []
        self._tell({"widget": comm, "state": state, "buffers": buffers})

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        super()._update_display_id(display_id, msg)
        if display_id in self._display_id_map:
            content = msg["content"]
            self._tell({"update": display_id, "data": content["data"], "metadata": content["metadata"]})

    def _capturing(self, msg: dict[str, Any]) -> Any:
        """Return the Output widget that takes this message's output; None: the cell does."""
        hooks = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        return hooks[-1] if hooks else None

    def _tell(self, entry: Mapping[str, Any]) -> None:
        if self.nb_man.journal:
            self.nb_man.journal.tell(entry)
