# SPDX-License-Identifier: LGPL-2.1-or-later
"""A certificate authority for tests, made on the fly with the openssl command."""

import pathlib
import subprocess


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """Signs certificates; everything lies in `directory`, the authority itself as ca.pem."""

    def __init__(self, directory, name="Test Authority"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate = self.directory / "ca.pem"
        self.key = self.directory / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
                "-days", 30, "-subj", f"/O=guestbus tests/CN={name}", "-keyout", self.key,
                "-out", self.certificate, "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, label, subject, names=(), days=30):
        """Returns (certificate, key) paths. `names` are subjectAltNames as openssl writes them; a negative
        number of days gives a certificate that expired."""
        certificate, key = self.directory / f"{label}.pem", self.directory / f"{label}.key"
        request, extensions = self.directory / f"{label}.csr", self.directory / f"{label}.ext"
        lines = ["basicConstraints=CA:FALSE"]
        if names:
            lines.append("subjectAltName=" + ",".join(names))
        extensions.write_text("\n".join(lines) + "\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
                "-subj", subject, "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-sha256",
                "-days", days, "-extfile", extensions, "-out", certificate)
        return certificate, key

    def issue_server(self, label="server", names=("DNS:localhost", "IP:127.0.0.1"), days=30):
        return self.issue(label, "/CN=localhost", names, days)

    def issue_consumer(self, uuid, owner, label="consumer", days=30):
        """As Candlepin makes them: the system's UUID is the common name, its owner the organisation."""
        return self.issue(label, f"/O={owner}/CN={uuid}", days=days)
