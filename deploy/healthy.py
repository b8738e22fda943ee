"""Ask Dagster's web server, at ADDRESS or on this machine's port 3000, whether it answers; status 1 says why it does not.

Source: `/server_info` is what Dagster's own charts ask.
"""

import http.client
import json
import sys
import urllib.request

_ADDRESS = "http://127.0.0.1:3000/server_info"
_TIMEOUT_S = 5

address = sys.argv[1] if len(sys.argv) > 1 else _ADDRESS
# A proxy of the environment is not for this machine.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open(address, timeout=_TIMEOUT_S) as answer:
        version = json.load(answer)["dagster_webserver_version"]
except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
    sys.exit(f"{address} does not answer as Dagster's web server does: {error!r}")
print(f"Dagster's web server {version} answers at {address}")
