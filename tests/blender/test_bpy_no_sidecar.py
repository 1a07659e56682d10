"""What the operators say when there is no sidecar to talk to."""

import json
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


def test_the_network_is_used_only_where_blender_may(holotime, tmp_path):
    """Without online access nothing is fetched and no other computer is asked; this computer is not the network."""
    system = bpy.context.preferences.system
    before = system.use_online_access
    system.use_online_access = False
    try:
        package = tmp_path / "library"
        package.mkdir()
        bpy.context.preferences.addons["bl_ext.user_default.holotime"].preferences.package = str(package)
        with pytest.raises(RuntimeError, match="online access"):
            bpy.ops.holotime.setup_sidecar(action="make")
        connection = tmp_path / "connection.json"
        addresses = {name: f"tcp://192.0.2.1:{5000 + i}" for i, name in enumerate(("control", "work", "events"))}
        connection.write_text(json.dumps({"version": 1, "addresses": addresses}))
        connection.chmod(0o600)
        with pytest.raises(RuntimeError, match="another computer"):
            bpy.ops.holotime.connect(connection_file=str(connection))
        assert not holotime.client.active()
        bpy.ops.holotime.connect(connection_file=str(connection), address="localhost")
        changed = json.loads((holotime.storage.user_folder("connections") / "changed.json").read_text())
        assert changed["addresses"]["work"] == "tcp://localhost:5001"
    finally:
        holotime.client.disconnect()
        system.use_online_access = before
        bpy.context.preferences.addons["bl_ext.user_default.holotime"].preferences.package = ""
