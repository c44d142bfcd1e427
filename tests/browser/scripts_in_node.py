"""Running the page's scripts in Node.js, behind a script of a test."""

import base64
import json
import subprocess
import tempfile
from pathlib import Path

from drivesim.browser.page import SCRIPTS, text_of

NEED_A_DOCUMENT = {"browser/main.js"}
PREFACE = """
const input = JSON.parse(require("fs").readFileSync(0));
if (input.module) input.module = fromBase64(input.module);
for (const { environments } of input.manifest?.roads ?? []) {
  for (const one of Object.values(environments)) one.options = fromBase64(one.options);
}
if (input.manifest?.custom) input.manifest.custom.base.options = fromBase64(input.manifest.custom.base.options);
"""
MAIN = """
(async () => {
%s
})().catch((error) => { console.error(error); process.exit(1); });
"""


def told(value):
    """A value in terms of JSON, bytes in base64."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def answer(node, test_script, **given):
    """What a script prints, as JSON: it runs behind the page's scripts and finds `given` as `input`."""
    scripts = [text_of(name) for name in SCRIPTS if name not in NEED_A_DOCUMENT]
    question = json.dumps({name: told(value) for name, value in given.items()})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.cjs"
        path.write_text("\n".join([*scripts, PREFACE, MAIN.replace("%s", test_script)]), encoding="utf-8")
        done = subprocess.run([node, path], input=question.encode(), capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return json.loads(done.stdout)
