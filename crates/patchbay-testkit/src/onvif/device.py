"""A camera's ONVIF device and media services in front of an RTSP address, printed as READY <port>: checks logins as a camera does, and goes wrong as it is told.

Each question is printed as ASKED <name> <how the login went>."""

import argparse
import base64
import hashlib
import re
import sys
import time
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

SOAP = "http://www.w3.org/2003/05/soap-envelope"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = {"1": "http://www.onvif.org/ver10/media/wsdl", "2": "http://www.onvif.org/ver20/media/wsdl"}

# Seconds by which a login's time may differ from the device's.
TOLERANCE = 5

# Answers of what is no camera, or a hostile one; what is asked does not matter.
HOSTILE = {
    "html": "<html><body>Sign in</body></html>",
    "words": "It works!",
    "entity": '<!DOCTYPE a [<!ENTITY x "' + "x" * 1000 + '">]><a>&x;</a>',
    "deep": "<a>" * 100_000,
    "many": "<a>" + "<b/>" * 200_000 + "</a>",
    "huge": "x" * 3_000_000,
    "cut": f'<s:Envelope xmlns:s="{SOAP}"><s:Body><GetSystemDateAndTimeResponse>',
    "other": f'<s:Envelope xmlns:s="{SOAP}"><s:Body><RebootResponse/></s:Body></s:Envelope>',
}


class Refused(Exception):
    """A fault, with its code and words."""


class Device:
    def __init__(self, args):
        self.args = args
        self.nonces = set()

    def now(self):
        return time.time() + self.args.ahead

    def answer(self, name, question):
        """What is in the answer to a question."""
        asked = {
            "GetSystemDateAndTime": self.date,
            "GetServices": self.services,
            "GetCapabilities": self.capabilities,
            "GetDeviceInformation": self.information,
            "GetProfiles": self.profiles,
            "GetStreamUri": self.stream,
        }
        if name not in asked:
            raise Refused("ter:ActionNotSupported", "it does not know that")
        return asked[name](question)

    def date(self, _):
        now = time.gmtime(self.now())
        return f"""<SystemDateAndTime><UTCDateTime>
            <Time><Hour>{now.tm_hour}</Hour><Minute>{now.tm_min}</Minute><Second>{now.tm_sec}</Second></Time>
            <Date><Year>{now.tm_year}</Year><Month>{now.tm_mon}</Month><Day>{now.tm_mday}</Day></Date>
            </UTCDateTime></SystemDateAndTime>"""

    def services(self, _):
        if self.args.old:
            raise Refused("ter:ActionNotSupported", "it is too old for that")
        media = self.args.media
        both = [(DEVICE, "device_service")] + [(MEDIA[one], "media") for one in media if one in MEDIA]
        parts = (f"<Service><Namespace>{space}</Namespace><XAddr>{self.at(path)}</XAddr></Service>" for space, path in both)
        return "".join(parts)

    def capabilities(self, _):
        media = f"<Media><XAddr>{self.at('media')}</XAddr></Media>" if "1" in self.args.media else ""
        return f"<Capabilities><Device><XAddr>{self.at('device_service')}</XAddr></Device>{media}</Capabilities>"

    def at(self, path):
        return f"http://{self.args.calls_itself or f'127.0.0.1:{self.args.port}'}/onvif/{path}"

    def information(self, _):
        return "<Manufacturer>Patchbay</Manufacturer><Model>Test Eye 3</Model><SerialNumber>1</SerialNumber>"

    def profiles(self, _):
        if self.args.profiles == 0:
            return ""
        return "".join(self.profile(number) for number in range(self.args.profiles))

    def profile(self, number):
        name, width, height = ("Main", 1920, 1080) if number == 0 else (f"Sub {number}", 640, 360)
        encoder = f"""<Name>Encoder</Name><Encoding>H264</Encoding>
            <Resolution><Width>{width}</Width><Height>{height}</Height></Resolution>
            <RateControl><FrameRateLimit>25</FrameRateLimit><BitrateLimit>{width}</BitrateLimit></RateControl>"""
        if "1" in self.args.media:
            inner = f'<VideoEncoderConfiguration token="E{number}">{encoder}</VideoEncoderConfiguration>'
        else:
            inner = f'<Configurations><VideoEncoder token="E{number}">{encoder}</VideoEncoder></Configurations>'
        return f'<Profiles token="P&amp;{number}" fixed="true"><Name>{name}</Name>{inner}</Profiles>'

    def stream(self, question):
        token = next(element.text for element in question.iter() if element.tag.endswith("}ProfileToken"))
        number = int(token.removeprefix("P&"))
        if number == self.args.refuses:
            raise Refused("ter:IncompleteConfiguration", "its encoder is off")
        # The main stream is where the camera is; the others may be elsewhere.
        url = self.args.rtsp if number == 0 else self.args.others or self.args.rtsp
        uri = f"<Uri>{escape(url)}</Uri>"
        return f"<MediaUri>{uri}</MediaUri>" if "1" in self.args.media else uri

    def check(self, envelope):
        """A login within the envelope: Username Token Profile 1.1, with the digest alone."""
        token = envelope.find(f".//{{{SECURITY}}}UsernameToken")
        if token is None:
            raise Refused("ter:NotAuthorized", "there is no login")
        text = {element.tag: element.text or "" for element in token}
        kind = token.find(f"{{{SECURITY}}}Password").get("Type", "")
        nonce, created = text[f"{{{SECURITY}}}Nonce"], text[f"{{{UTILITY}}}Created"]
        whole = base64.b64decode(nonce) + created.encode() + self.args.password.encode()
        digest = base64.b64encode(hashlib.sha1(whole).digest()).decode()
        age = abs(self.now() - seconds(created))
        good = (
            kind.endswith("#PasswordDigest")
            and text[f"{{{SECURITY}}}Username"] == self.args.user
            and text[f"{{{SECURITY}}}Password"] == digest
            and nonce not in self.nonces
            and age <= TOLERANCE
        )
        self.nonces.add(nonce)
        if not good:
            raise Refused("ter:NotAuthorized", "the login is wrong")

    def is_known(self, method, path, authorization):
        """A login by HTTP Digest (RFC 7616) with MD5."""
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', authorization))
        own = md5(f"{self.args.user}:onvif:{self.args.password}")
        asked = md5(f"{method}:{path}")
        proof = md5(":".join([own, "n0nce", given.get("nc", ""), given.get("cnonce", ""), "auth", asked]))
        return given.get("uri") == path and given.get("username") == self.args.user and given.get("response") == proof


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def seconds(created):
    """A time such as 2026-01-02T03:04:05Z, in seconds since 1970."""
    import calendar

    return calendar.timegm(time.strptime(created, "%Y-%m-%dT%H:%M:%SZ"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    device = None

    def do_POST(self):
        document = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        args = self.device.args
        if args.goes_wrong == "silent":
            time.sleep(3600)
        if args.goes_wrong == "missing":
            return self.send(404, "nothing here")
        if args.goes_wrong:
            return self.send(200, HOSTILE[args.goes_wrong])
        envelope = ElementTree.fromstring(document)
        question = envelope.find(f"{{{SOAP}}}Body")[0]
        name = question.tag.rsplit("}", 1)[1]
        if args.auth.startswith("http-") and not self.is_known(name):
            return None
        try:
            if args.auth == "wsse" and name != "GetSystemDateAndTime":
                self.device.check(envelope)
            self.tell(name, "accepted")
            inner = self.device.answer(name, question)
            self.send(200, wrapped(f"<{name}Response>{inner}</{name}Response>"))
        except Refused as refused:
            code, words = refused.args
            self.tell(name, "refused")
            self.send(400, wrapped(fault(code, words)))

    def is_known(self, name):
        """By a login of HTTP; asks for it otherwise."""
        authorization = self.headers.get("Authorization", "")
        if self.device.args.auth == "http-digest":
            if self.device.is_known("POST", urlsplit(self.path).path, authorization):
                return True
            challenge = 'Digest realm="onvif", nonce="n0nce", qop="auth", algorithm=MD5'
        else:
            challenge = 'Basic realm="onvif"'
        self.tell(name, "refused" if authorization else "asked")
        self.send(401, "", {"WWW-Authenticate": challenge})
        return False

    def tell(self, name, how):
        print("ASKED", name, how, flush=True)

    def send(self, status, text, headers=None):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/soap+xml; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            # Whoever asked had enough of it.
            self.close_connection = True

    def log_message(self, *_):
        pass


def wrapped(inner):
    return f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{SOAP}" xmlns:ter="http://www.onvif.org/ver10/error"><s:Body>{inner}</s:Body></s:Envelope>'


def fault(code, words):
    return f"""<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}</s:Value></s:Subcode></s:Code>
        <s:Reason><s:Text xml:lang="en">{escape(words)}</s:Text></s:Reason></s:Fault>"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rtsp", default="rtsp://127.0.0.1:554/live", help="address of the main stream")
    parser.add_argument("--others", help="address of the other streams")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=["none", "wsse", "http-digest", "http-basic"], default="none")
    parser.add_argument("--ahead", type=int, default=0, help="seconds that its clock is ahead")
    parser.add_argument("--media", choices=["1", "2", "12", "none"], default="1", help="versions of its media service")
    parser.add_argument("--old", action="store_true", help="does not know GetServices")
    parser.add_argument("--profiles", type=int, default=2)
    parser.add_argument("--refuses", type=int, default=-1, help="profile whose address it does not tell")
    parser.add_argument("--calls-itself", help="host and port that it names as its own")
    parser.add_argument("--goes-wrong", choices=["silent", "missing", *HOSTILE])
    args = parser.parse_args()
    Handler.device = Device(args)
    server = ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    server.daemon_threads = True
    args.port = server.server_address[1]
    print("READY", args.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
