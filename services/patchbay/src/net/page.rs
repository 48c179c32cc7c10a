//! What the page says: facts of a connection, in words, as HTML, text or JSON.

use serde::Serialize;
use std::{fmt::Write as _, net::SocketAddr};

/// A connection as the server sees it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Facts {
    pub(super) version: String,
    pub(super) suite: String,
    pub(super) group: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) server_name: Option<String>,
    #[serde(rename = "resumed")]
    pub(super) is_resumed: bool,
    pub(super) peer: SocketAddr,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Html,
    Text,
    Json,
}

impl Form {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// In which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

impl Language {
    fn of<'t>(self, english: &'t str, chinese: &'t str) -> &'t str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }
}

/// The answer's body.
pub(super) fn body(facts: &Facts, form: Form, language: Language) -> String {
    match form {
        Form::Html => html(facts, language),
        Form::Text => plain(facts, language),
        Form::Json => serde_json::to_string_pretty(facts).unwrap_or_default() + "\n",
    }
}

fn title(language: Language) -> &'static str {
    language.of("Your TLS connection", "您的 TLS 连接")
}

fn rows(facts: &Facts, language: Language) -> Vec<(&'static str, String)> {
    let say = |english, chinese| language.of(english, chinese);
    let or_none = |value: &Option<String>, english, chinese| {
        value.clone().unwrap_or_else(|| say(english, chinese).to_owned())
    };
    let handshake = if facts.is_resumed {
        say("resumed an earlier session", "恢复了先前的会话")
    } else {
        say("full, with the certificate", "完整握手，已出示证书")
    };
    vec![
        (say("Version", "协议版本"), facts.version.clone()),
        (say("Cipher suite", "密码套件"), facts.suite.clone()),
        (say("Key agreement", "密钥协商"), or_none(&facts.group, "not told", "未知")),
        (say("Protocol (ALPN)", "应用层协议 (ALPN)"), or_none(&facts.protocol, "none agreed", "未协商")),
        (say("Server name (SNI)", "服务器名称 (SNI)"), or_none(&facts.server_name, "none sent", "未发送")),
        (say("Handshake", "握手"), handshake.to_owned()),
        (say("Your address", "您的地址"), facts.peer.to_string()),
    ]
}

/// What the figures mean for who reads them.
fn remarks(facts: &Facts, language: Language) -> Vec<&'static str> {
    let mut remarks = vec![match facts.version.as_str() {
        "TLS 1.3" => language.of(
            "TLS 1.3 is the newest version: the handshake takes one round trip, and the certificate travels encrypted.",
            "TLS 1.3 是最新版本：握手只需一次往返，证书以加密方式传输。",
        ),
        _ => language.of(
            "TLS 1.2 is still safe with this suite; TLS 1.3 is faster and hides more.",
            "使用此套件时 TLS 1.2 仍然安全；TLS 1.3 更快，隐藏的信息更多。",
        ),
    }];
    // An older session that is resumed by TLS 1.2 goes on with its secret, which the server keeps for a time.
    if facts.group.is_some() {
        remarks.push(language.of(
            "The key was agreed for this connection alone: who records it today cannot read it with the server's key later.",
            "密钥仅为本次连接协商：即使日后取得服务器私钥，也无法解密今天录下的流量。",
        ));
    }
    if facts.group.as_deref().is_some_and(|group| group.contains("MLKEM")) {
        remarks.push(language.of(
            "The key agreement withstands quantum computers as well.",
            "该密钥协商同样能抵御量子计算机。",
        ));
    }
    remarks
}

fn plain(facts: &Facts, language: Language) -> String {
    let mut text = format!("{}\n\n", title(language));
    for (name, value) in rows(facts, language) {
        writeln!(text, "{name}: {value}").expect("writing to a string cannot fail");
    }
    text.push('\n');
    for remark in remarks(facts, language) {
        writeln!(text, "{remark}").expect("writing to a string cannot fail");
    }
    text
}

fn html(facts: &Facts, language: Language) -> String {
    let (mut cells, mut words) = (String::new(), String::new());
    for (name, value) in rows(facts, language) {
        let value = escape(&value);
        write!(cells, "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>")
            .expect("writing to a string cannot fail");
    }
    for remark in remarks(facts, language) {
        write!(words, "<p>{remark}</p>").expect("writing to a string cannot fail");
    }
    let (tag, title) = (language.of("en", "zh-CN"), title(language));
    let other = language
        .of("<a href=\"?lang=zh\" lang=\"zh-CN\">中文</a>", "<a href=\"?lang=en\" lang=\"en\">English</a>");
    format!(
        "<!doctype html><html lang=\"{tag}\"><head><meta charset=\"utf-8\"><title>{title}</title>\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head>\
<body><main><h1>{title}</h1><table>{cells}</table>{words}<p>{other}</p></main></body></html>\n"
    )
}

const STYLE: &str = ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
main{max-width:42rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}\
th{text-align:left;font-weight:600;padding-right:1rem;white-space:nowrap}\
th,td{border-bottom:1px solid #8884;padding-block:.4rem;overflow-wrap:anywhere}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            version: "TLS 1.3".to_owned(),
            suite: "TLS_AES_256_GCM_SHA384".to_owned(),
            group: Some("X25519MLKEM768".to_owned()),
            protocol: None,
            server_name: Some("<b>".to_owned()),
            is_resumed: false,
            peer: ([127, 0, 0, 1], 1).into(),
        }
    }

    #[test]
    fn it_says_the_same_in_every_form_and_language() {
        for form in [Form::Html, Form::Text, Form::Json] {
            for language in [Language::English, Language::Chinese] {
                let text = body(&facts(), form, language);
                for fact in ["TLS 1.3", "TLS_AES_256_GCM_SHA384", "X25519MLKEM768", "127.0.0.1"] {
                    assert!(text.contains(fact), "{text}");
                }
            }
        }
        assert!(body(&facts(), Form::Html, Language::Chinese).contains("<title>您的 TLS 连接</title>"));
        assert!(body(&facts(), Form::Text, Language::English).contains("quantum"));
    }

    #[test]
    fn a_session_that_goes_on_with_an_old_secret_is_not_praised_for_a_new_one() {
        let told =
            |facts: &Facts| body(facts, Form::Text, Language::English).contains("this connection alone");
        assert!(told(&facts()));
        let resumed = Facts { version: "TLS 1.2".to_owned(), group: None, is_resumed: true, ..facts() };
        assert!(!told(&resumed));
    }

    #[test]
    fn what_a_client_sends_is_no_markup() {
        let text = body(&facts(), Form::Html, Language::English);
        assert!(text.contains("&lt;b&gt;") && !text.contains("<b>"));
    }
}
