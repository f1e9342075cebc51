"""
Save and serve
==============

A model file holds no pickle: reading one cannot run a stranger's code.
"""

# %%
import json
import tempfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_iris

import autometa
from autometa.persistence import load_model, save_model

X, y = load_iris(return_X_y=True, as_frame=True)
result = autometa.tune(X, y, n_trials=3, random_state=0)

# %%
# The command line does this with ``autometa tune data.csv --target y --output model.skops``.
path = Path(tempfile.mkdtemp()) / "model.skops"
columns = [{"name": name, "type": "numeric", "dtype": str(X[name].dtype)} for name in X]
save_model(path, result.model, {"columns": columns, "kind": "multiclass"})
model, info = load_model(path)
print(f"{path.stat().st_size / 1e3:.0f} kB, columns {[column['name'] for column in info['columns']]}")


# %%
# A server of a few lines. It reads the model once, and puts the columns in order for each request.
class Handler(BaseHTTPRequestHandler):
    """Predict the rows of a JSON list."""

    def do_POST(self) -> None:
        """Answer with the probabilities of each row."""
        rows = pd.DataFrame(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        answer = model.predict_proba(rows[[column["name"] for column in info["columns"]]])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer.round(4).tolist()).encode())

    def log_message(self, *args: object) -> None:
        """Write nothing."""


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()

# %%
# A client, with the columns in another order:
request = urllib.request.Request(
    f"http://127.0.0.1:{server.server_port}", data=X.iloc[[0, 75], ::-1].to_json(orient="records").encode()
)
print(urllib.request.urlopen(request).read().decode())
server.shutdown()
