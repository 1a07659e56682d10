"""What the operators say when there is no sidecar to talk to."""

import sys

import bpy
import pytest

pytestmark = pytest.mark.bpy


def test_without_a_sidecar_everything_says_what_to_do(holotime, tmp_path):
    with pytest.raises(RuntimeError, match="Not connected"):
        bpy.ops.holotime.generate()
    with pytest.raises(RuntimeError, match="does not exist"):
        bpy.ops.holotime.connect(connection_file=str(tmp_path / "nothing.json"))
    with pytest.raises(RuntimeError, match="No Python is set"):
        bpy.ops.holotime.start_sidecar()
    with pytest.raises(RuntimeError, match="does not exist"):
        bpy.ops.holotime.start_sidecar(python=str(tmp_path / "python"))
    damaged = tmp_path / "connection.json"
    damaged.write_text("{}")
    damaged.chmod(0o600)
    bpy.ops.holotime.connect(connection_file=str(damaged))
    assert not holotime.client.wait(holotime.client.connected, 5)
    assert "not a connection file" in holotime.client.link_text
    bpy.ops.holotime.start_sidecar(python=sys.executable)  # a Python without the library
    assert not holotime.client.wait(holotime.client.connected, 20)
    assert "No module named sidecar" in holotime.client.link_text
