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


def answer(node, test_script, **given):
    """What a script prints, as JSON: it runs behind the page's scripts and finds `given` as `input`."""
    given = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in given.items()
    }
    scripts = "\n".join(text_of(name) for name in SCRIPTS if name not in NEED_A_DOCUMENT)
    main = f"(async () => {{
{test_script}
}})().catch((error) => {{ console.error(error); process.exit(1); }});"
    program = f"{scripts}
{PREFACE}
{main}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.cjs"
        path.write_text(program, encoding="utf-8")
        done = subprocess.run(
            [node, path], input=json.dumps(given).encode(), capture_output=True, timeout=600, check=False
        )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return json.loads(done.stdout)
