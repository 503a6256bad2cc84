//! The page: its files are part of the program, and nothing else is ever loaded.
//!
//! All files are below `/ui/VERSION/`, where the version is a hash of all of them: modules import each other by
//! relative paths, so a browser keeps them as long as it likes and never mixes two versions.

use std::io::Write as _;
use std::sync::OnceLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::NestedPathRejection;
use axum::extract::{NestedPath, Path};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use citizenk::prelude::*;
use flate2::Compression;
use flate2::write::GzEncoder;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../ui/", $path)))),*]
    };
}

/// Path and text.
const FILES: &[(&str, &str)] = files![
    "api/client.js",
    "api/json.js",
    "api/splice.js",
    "app/dom.js",
    "app/early.js",
    "app/icon.svg",
    "app/keys.js",
    "app/main.js",
    "app/route.js",
    "app/style.css",
    "app/text.js",
    "components/adoption.js",
    "components/curl.js",
    "components/dialog.js",
    "components/diff.js",
    "components/doomed.js",
    "components/fields.js",
    "components/filter-test.js",
    "components/group-panel.js",
    "components/issues.js",
    "components/line-chart.js",
    "components/mapping-form.js",
    "components/mapping-row.js",
    "components/message-list.js",
    "components/message-pane.js",
    "components/replay-panel.js",
    "components/row-window.js",
    "components/save-panel.js",
    "components/sparkline.js",
    "components/state-badge.js",
    "components/toast.js",
    "components/topics.js",
    "components/value-view.js",
    "components/workers-table.js",
    "store/file.js",
    "store/merge.js",
    "store/source.js",
    "store/store.js",
    "store/switch.js",
    "views/blank.js",
    "views/columns.js",
    "views/details.js",
    "views/edit.js",
    "views/filter.js",
    "views/history.js",
    "views/messages.js",
    "views/overview.js",
    "views/table.js",
    "views/template.js",
    "views/templates.js",
    "views/values.js",
];

const SHELL: &str = include_str!("../ui/index.html");

/// Scripts and styles are files of this service; no text becomes markup or script, wherever it comes from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const A_YEAR: &str = "public, max-age=31536000, immutable";
/// Kept, but asked for again each time.
const ASK: &str = "no-cache";

/// FNV-1a: it tells versions apart and guards nothing.
fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let bytes = texts.into_iter().flat_map(|text| text.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn version() -> String {
    let files = FILES.iter().flat_map(|(path, text)| [*path, *text]);
    hash(files.chain([SHELL]))
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/html; charset=utf-8",
    }
}

/// The files as gzip, each made when it is first asked for.
static PACKED: [OnceLock<Option<Bytes>>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];

fn pack(text: &str) -> Option<Bytes> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(text.as_bytes()).ok()?;
    packer.finish().ok().map(Bytes::from)
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    let told = asked
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    told.unwrap_or_default().split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

/// A file with the headers every file has; without its text where the browser has it.
fn file(
    asked: &HeaderMap,
    path: &str,
    text: &str,
    packed: Option<&Bytes>,
    caching: &'static str,
) -> Response {
    let packed = packed.filter(|_| takes_gzip(asked));
    let coding = if packed.is_some() { "-gzip" } else { "" };
    let tag = format!("\"{}{coding}\"", hash([text]));
    let known = asked
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let known = known.is_some_and(|tags| {
        tags.split(',')
            .map(|known| known.trim().trim_start_matches("W/"))
            .any(|known| known == tag || known == "*")
    });
    let headers = [
        (CONTENT_TYPE, kind(path).to_owned()),
        (CACHE_CONTROL, caching.to_owned()),
        (ETAG, tag),
        (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (VARY, ACCEPT_ENCODING.to_string()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let Some(packed) = packed else {
        return (headers, text.to_owned()).into_response();
    };
    let coding = [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
    (headers, coding, packed.clone()).into_response()
}

fn page(prefix: &str, asked: &HeaderMap) -> Response {
    let files = format!("{prefix}/ui/{}", version());
    let text = SHELL.replace("{{files}}", &files);
    file(asked, "index.html", &text, None, ASK)
}

async fn shell(prefix: Result<NestedPath, NestedPathRejection>, asked: HeaderMap) -> Response {
    page(prefix.as_ref().map_or("", NestedPath::as_str), &asked)
}

async fn asset(Path((of, path)): Path<(String, String)>, asked: HeaderMap) -> Response {
    let files = FILES.iter().zip(&PACKED);
    let Some(((_, text), packed)) = files.into_iter().find(|((name, _), _)| *name == path) else {
        return Problem::not_found(format!("the page has no file `{path}`")).into_response();
    };
    // While workers are replaced, a page of one may ask another: that must not be kept under the wrong version.
    let caching = if of == version() { A_YEAR } else { ASK };
    let packed = packed.get_or_init(|| pack(text));
    file(&asked, &path, text, packed.as_ref(), caching)
}

/// The page and its files, for the app.
pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", get(shell))
        .route("/ui/{version}/{*path}", get(asset))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use std::io::Read as _;

    use axum::http::header::HeaderName;
    use citizenk::testing::TestApp;

    use super::*;

    fn asking(tag: &str) -> HeaderMap {
        let tag = HeaderValue::from_str(tag).unwrap_or(HeaderValue::from_static(""));
        HeaderMap::from_iter([(IF_NONE_MATCH, tag)])
    }

    fn header(response: &Response, name: HeaderName) -> String {
        let value = response.headers().get(name);
        let value = value.and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }

    async fn body(response: Response) -> Vec<u8> {
        let bytes = to_bytes(response.into_body(), 1_000_000).await;
        bytes.map(Vec::from).unwrap_or_default()
    }

    #[tokio::test]
    async fn files_come_with_a_policy_and_are_kept_by_the_browser() {
        for (path, text) in FILES {
            let get = |of: String, tag: &str| asset(Path((of, (*path).to_owned())), asking(tag));
            let got = get(version(), "").await;
            assert_eq!(got.status(), 200, "{path}");
            assert_eq!(header(&got, CACHE_CONTROL), A_YEAR);
            assert_eq!(header(&got, CONTENT_SECURITY_POLICY), POLICY);
            assert_eq!(header(&got, X_CONTENT_TYPE_OPTIONS), "nosniff");
            let tag = header(&got, ETAG);
            assert_eq!(body(got).await, text.as_bytes(), "{path}");
            for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
                let again = get(version(), &known).await;
                assert_eq!(again.status(), 304, "{path}");
                assert_eq!(body(again).await, b"");
            }
            assert_eq!(get(version(), "\"other\"").await.status(), 200);
            let other = get("other".to_owned(), "").await;
            assert_eq!(header(&other, CACHE_CONTROL), ASK);
        }
        let page = |tag: &str| super::page("", &asking(tag));
        let first = page("");
        assert_eq!(header(&first, CACHE_CONTROL), ASK);
        assert_eq!(page(&header(&first, ETAG)).status(), 304);
        assert_eq!(page("\"older\"").status(), 200);
        assert!(!POLICY.contains("unsafe"));
    }

    #[tokio::test]
    async fn files_are_compressed_for_who_takes_that() -> std::io::Result<()> {
        let (mut whole, mut sent) = (0, 0);
        for (path, text) in FILES {
            let get = |takes: &'static str| {
                let asked =
                    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(takes))]);
                asset(Path((version(), (*path).to_owned())), asked)
            };
            let got = get("gzip, deflate, br").await;
            assert_eq!(header(&got, CONTENT_ENCODING), "gzip");
            assert_eq!(header(&got, VARY), "accept-encoding");
            let tag = header(&got, ETAG);
            let packed = body(got).await;
            let mut read = String::new();
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut read)?;
            assert_eq!(read, *text, "{path}");
            for takes in ["", "br", "gzip;q=0, br"] {
                let plain = get(takes).await;
                assert_eq!(header(&plain, CONTENT_ENCODING), "");
                assert_ne!(header(&plain, ETAG), tag, "another text of the same file");
            }
            (whole, sent) = (whole + text.len(), sent + packed.len());
        }
        assert!(
            sent < 150_000 && sent * 2 < whole,
            "{sent} of {whole} bytes"
        );
        Ok(())
    }

    #[tokio::test]
    async fn the_page_finds_its_files_behind_a_prefix_too() -> citizenk::Result<()> {
        for (prefix, shell) in [
            ("", "/"),
            ("/below/it", "/below/it"),
            ("/below/it", "/below/it/"),
        ] {
            let app = TestApp::new(|| App::new("page").routes(routes()));
            let app = app.env("CITIZENK_PREFIX", prefix).start().await?;
            let shell = app.get(shell).await;
            assert_eq!((shell.status, shell.body.contains("{{")), (200, false));
            let script = format!("{prefix}/ui/{}/app/main.js", version());
            assert!(
                shell.body.contains(&format!("\"{script}\"")),
                "{}",
                shell.body
            );
            let got = app.get(&script).await;
            assert_eq!(got.content_type.as_deref(), Some(kind("main.js")));
            let none = app.get(&format!("{prefix}/ui/other/none.js")).await;
            assert_eq!(none.status, 404, "{}", none.body);
            app.stop().await?;
        }
        Ok(())
    }

    #[test]
    fn every_file_is_served_small_and_loads_nothing_from_elsewhere() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
        let mut found = 0;
        for folder in ["api", "app", "components", "store", "views"] {
            let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten();
            for entry in entries.flatten() {
                let name = entry.file_name().into_string().unwrap_or_default();
                // Types are for the checker alone.
                if name.ends_with(".d.ts") {
                    continue;
                }
                let path = format!("{folder}/{name}");
                assert!(FILES.iter().any(|(known, _)| *known == path), "{path}");
                found += 1;
            }
        }
        assert_eq!(found, FILES.len());
        for (path, text) in FILES.iter().chain(&[("index.html", SHELL)]) {
            assert!(text.lines().count() <= 300, "{path} is too long");
            let outside = text
                .replace("http://www.w3.org/2000/svg", "")
                .replace("http://localhost", "");
            assert!(
                !outside.contains("http://") && !outside.contains("https://"),
                "{path}"
            );
            assert!(
                !text.contains("innerHTML") && !text.contains(" style=\""),
                "{path}"
            );
        }
    }
}
