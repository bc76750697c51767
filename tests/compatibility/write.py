"""Asks Avro's Java library for its verdicts: `.venv/bin/python -m tests.compatibility.write`.

Needs Java 17 and Maven. Confluent's registry judges by this library, so what is kept here is what
it would say.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.compatibility.histories import FILE, digest, pairs

SOURCE = Path(__file__).parent


def main() -> None:
    """Write the verdicts on all pairs."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(SOURCE / "pom.xml", folder)
        fetch = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
        subprocess.run(fetch, cwd=folder, check=True)
        lines = "".join(f"{reader}\n{writer}\n" for reader, writer in pairs())
        ask = ["java", "-cp", "lib/*", str(SOURCE / "Verdicts.java")]
        done = subprocess.run(
            ask, cwd=folder, check=True, input=lines, capture_output=True, text=True
        )
    kept = {"library": "avro 1.12.0 (Java)", "digest": digest(), "verdicts": done.stdout}
    FILE.write_text(json.dumps(kept, indent=1) + "\n", "ascii")
    print("wrote", FILE.name, "with", len(done.stdout), "verdicts")


if __name__ == "__main__":
    main()
