//! Answers one request (OCI distribution specification 1.1, "Pull").

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, RANGE,
};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::Served;
use super::body::{Body, stream, whole};
use super::held::{Blob, Held};
use super::range::{Wish, wish};
use crate::digest::Digest;

/// What a path below `/v2/` asks for.
enum Route<'a> {
    Version,
    Manifest { repository: &'a str, reference: &'a str },
    Blob { repository: &'a str, digest: &'a str },
    Tags { repository: &'a str },
}

/// Answers `request`.
pub(super) fn answer<B>(
    held: &Arc<Held>,
    served: &Arc<Served>,
    request: &Request<B>,
) -> Response<Body> {
    let is_head = request.method() == Method::HEAD;
    if !is_head && request.method() != Method::GET {
        let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let range = request.headers().get(RANGE).and_then(|value| value.to_str().ok());
    let mut answer = match route(request.uri().path()) {
        None => refusal(StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        Some(Route::Version) => document("application/json", Bytes::from_static(b"{}")),
        Some(Route::Tags { repository }) => tags(held, repository),
        Some(Route::Manifest { repository, reference }) => {
            manifest(held, served, repository, reference, is_head)
        }
        Some(Route::Blob { repository, digest }) => {
            let found = digest.parse().ok();
            let found = found.and_then(|digest| Some((digest, held.blob(repository, &digest)?)));
            match found {
                None => refusal(StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
                Some((digest, found)) => blob(held, served, &digest, found, range, is_head),
            }
        }
    };
    let version = HeaderValue::from_static("registry/2.0");
    answer.headers_mut().insert("docker-distribution-api-version", version);
    if is_head {
        *answer.body_mut() = whole(Bytes::new());
    }
    answer
}

fn route(path: &str) -> Option<Route<'_>> {
    let rest = path.strip_prefix("/v2")?.strip_prefix('/').unwrap_or("");
    if rest.is_empty() {
        return Some(Route::Version);
    }
    let (front, last) = rest.rsplit_once('/')?;
    let (repository, kind) = front.rsplit_once('/')?;
    match (kind, last) {
        ("manifests", reference) => Some(Route::Manifest { repository, reference }),
        ("blobs", digest) => Some(Route::Blob { repository, digest }),
        ("tags", "list") => Some(Route::Tags { repository }),
        _ => None,
    }
}

fn tags(held: &Held, repository: &str) -> Response<Body> {
    let Some(tags) = held.tags(repository) else {
        return refusal(StatusCode::NOT_FOUND, "NAME_UNKNOWN");
    };
    let text = json!({ "name": repository, "tags": tags }).to_string();
    document("application/json", text.into())
}

fn manifest(
    held: &Held,
    served: &Served,
    repository: &str,
    reference: &str,
    is_head: bool,
) -> Response<Body> {
    let Some(found) = held.manifest(repository, reference) else {
        return refusal(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN");
    };
    if !is_head {
        served.add(&found.digest, found.bytes.len() as u64);
    }
    let mut answer = document(found.media_type, found.bytes);
    name(&mut answer, &found.digest);
    answer
}

fn blob(
    held: &Arc<Held>,
    served: &Arc<Served>,
    digest: &Digest,
    blob: Blob,
    range: Option<&str>,
    is_head: bool,
) -> Response<Body> {
    let size = blob.size();
    let (status, part) = match wish(range, size) {
        Wish::Whole => (StatusCode::OK, 0..size),
        Wish::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wish::Beyond => {
            let mut answer = refusal(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID");
            answer.headers_mut().insert(CONTENT_RANGE, value(format!("bytes */{size}")));
            return answer;
        }
    };
    let mut answer = Response::new(whole(Bytes::new()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(blob.media_type()));
    headers.insert(CONTENT_LENGTH, (part.end - part.start).into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = part.end.saturating_sub(1);
        headers.insert(CONTENT_RANGE, value(format!("bytes {}-{last}/{size}", part.start)));
    }
    name(&mut answer, digest);
    if !is_head {
        *answer.body_mut() = match blob {
            Blob::Config(bytes) => {
                served.add(digest, part.end - part.start);
                whole(bytes.slice(part.start as usize..part.end as usize))
            }
            Blob::Layer(layer) => stream(Arc::clone(held), Arc::clone(served), *layer, part),
        };
    }
    answer
}

fn document(media_type: &'static str, bytes: Bytes) -> Response<Body> {
    let length = bytes.len() as u64;
    let mut answer = Response::new(whole(bytes));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    answer
}

/// The digest is what a content's tag would be.
fn name(answer: &mut Response<Body>, digest: &Digest) {
    answer.headers_mut().insert("docker-content-digest", value(digest.to_string()));
    answer.headers_mut().insert(ETAG, value(format!("\"{digest}\"")));
}

/// An error as the specification writes it.
fn refusal(status: StatusCode, code: &str) -> Response<Body> {
    let text = json!({ "errors": [{ "code": code, "message": code.to_lowercase() }] }).to_string();
    let mut answer = document("application/json", text.into());
    *answer.status_mut() = status;
    answer
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digests and numbers are plain ASCII")
}
