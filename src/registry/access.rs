//! Tells a registry who is asking, in the way that it asks for (RFC 9110, section 11; Docker's
//! "Token Authentication Specification").
//!
//! What is sent goes to the registry itself or to the token server that it names, over TLS or to
//! a host that the user lets be reached without, and is never part of any message.

use reqwest::Url;
use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::client::{Action, Client};
use crate::fetch::{Ending, Trouble, retry_after, send};
use crate::settings::{RegistryCredentials, RegistryPlace};

/// A token is some kilobytes; more is none.
const LARGEST_TOKEN: usize = 1 << 20;

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    /// A name and a password.
    Basic,
    /// A token of this server, for this service.
    Bearer { realm: String, service: Option<String> },
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Finds what convinces the registry that answered 401.
pub(super) fn answer(
    client: &Client<'_>,
    place: &RegistryPlace,
    action: Action,
    response: &Response,
) -> Result<HeaderValue, Ending> {
    let credentials = client
        .settings
        .registry_credentials(place)
        .map_err(|error| Trouble::Unusable { reason: error.to_string() })?;
    match challenge(response.headers()) {
        None => Err(denied(place, 401).into()),
        Some(Challenge::Basic) => match credentials {
            Some(RegistryCredentials::Password { user, password }) => {
                let asking = client.http.get(place.url.clone()).basic_auth(user, Some(password));
                let built = asking.build().ok();
                let header = built.and_then(|it| it.headers().get(AUTHORIZATION).cloned());
                Ok(header.ok_or_else(|| denied(place, 401))?)
            }
            _ => Err(denied(place, 401).into()),
        },
        Some(Challenge::Bearer { realm, service }) => {
            let realm = token_server(client, place, &realm)?;
            token(client, place, action, realm, service.as_deref(), credentials)
        }
    }
}

/// The token server, which must be as safe to talk to as the registry itself.
fn token_server(client: &Client<'_>, place: &RegistryPlace, realm: &str) -> Result<Url, Trouble> {
    let url = Url::parse(realm).ok().filter(Url::has_host);
    let is_safe = |url: &Url| match url.scheme() {
        "https" => true,
        "http" => {
            let (host, port) = (url.host_str().unwrap_or(""), url.port());
            let host = port.map_or(host.to_owned(), |port| format!("{host}:{port}"));
            place.url.scheme() == "http" && client.settings.is_plain_registry(&host)
        }
        _ => false,
    };
    url.filter(is_safe).ok_or_else(|| Trouble::Unusable {
        reason: format!(
            "{} wants a token from a server that would be talked to without TLS",
            place.host()
        ),
    })
}

fn token(
    client: &Client<'_>,
    place: &RegistryPlace,
    action: Action,
    realm: Url,
    service: Option<&str>,
    credentials: Option<RegistryCredentials>,
) -> Result<HeaderValue, Ending> {
    let scope = match action {
        Action::Pull => format!("repository:{}:pull", place.repository),
        Action::Push => format!("repository:{}:pull,push", place.repository),
    };
    let mut pairs = vec![("scope", scope.as_str())];
    pairs.extend(service.map(|service| ("service", service)));
    let request = match &credentials {
        Some(RegistryCredentials::IdentityToken(token)) => {
            pairs.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "repro"),
                ("refresh_token", token),
            ]);
            client
                .http
                .post(realm)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(query(&pairs))
        }
        other => asking(client, realm, &pairs, other.as_ref()),
    };
    let response = send(request, client.stop)?;
    match response.status().as_u16() {
        200 => {}
        code @ (400 | 401 | 403) => return Err(denied(place, code).into()),
        code => {
            let retry_after = retry_after(response.headers());
            return Err(Trouble::Status { code, retry_after }.into());
        }
    }
    let text = client.answer(response)?.document("the token", LARGEST_TOKEN, client.stop)?;
    let found: Token = serde_json::from_slice(&text).map_err(|_| no_token(place))?;
    let found = found.token.or(found.access_token).filter(|token| !token.is_empty());
    let found = found.ok_or_else(|| no_token(place))?;
    Ok(secret(&format!("Bearer {found}"))?)
}

fn asking(
    client: &Client<'_>,
    mut realm: Url,
    pairs: &[(&str, &str)],
    credentials: Option<&RegistryCredentials>,
) -> RequestBuilder {
    realm.query_pairs_mut().extend_pairs(pairs);
    let request = client.http.get(realm);
    match credentials {
        Some(RegistryCredentials::Password { user, password }) => {
            request.basic_auth(user, Some(password))
        }
        _ => request,
    }
}

fn query(pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("form:").expect("the text is a constant");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// A header that no log shows.
fn secret(text: &str) -> Result<HeaderValue, Trouble> {
    let reason = || Trouble::Unusable { reason: "credentials hold a control character".to_owned() };
    let mut value = HeaderValue::from_str(text).map_err(|_| reason())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Nobody gets in that way.
pub(super) fn denied(place: &RegistryPlace, code: u16) -> Trouble {
    let host = place.host();
    let reason = format!(
        "the server answered {code}: `{}` is not open to whoever asks; `docker login {host}` keeps credentials where they are looked for",
        place.repository
    );
    Trouble::Unusable { reason }
}

fn no_token(place: &RegistryPlace) -> Trouble {
    Trouble::Unusable { reason: format!("the token server of {} gave no token", place.host()) }
}

/// The challenge that can be answered; a token is preferred to a password.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut found = None;
    for text in texts {
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            let parameters = parameters(rest);
            let get = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            if let Some(realm) = get("realm").filter(|realm| !realm.is_empty()) {
                return Some(Challenge::Bearer { realm, service: get("service") });
            }
        } else if scheme.eq_ignore_ascii_case("basic") {
            found = Some(Challenge::Basic);
        }
    }
    found
}

/// `name="value"` pairs between commas; a value may hold commas and escaped quotes.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut letters = text.chars().peekable();
    while letters.peek().is_some() {
        let name: String = letters.by_ref().take_while(|letter| *letter != '=').collect();
        let mut value = String::new();
        if letters.next_if_eq(&'"').is_some() {
            while let Some(letter) = letters.next() {
                match letter {
                    '"' => break,
                    '\\' => value.extend(letters.next()),
                    letter => value.push(letter),
                }
            }
            // Up to the next pair.
            letters.by_ref().find(|letter| *letter == ',');
        } else {
            value = letters.by_ref().take_while(|letter| *letter != ',').collect();
        }
        pairs.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        challenge(&headers)
    }

    #[test]
    fn a_challenge_is_read_with_its_commas_and_quotes() {
        let text = "Bearer realm=\"https://auth.test/token?a=1,2\",service=\"regi\\\"stry\", scope=\"repository:a:pull,push\"";
        let bearer = Challenge::Bearer {
            realm: "https://auth.test/token?a=1,2".to_owned(),
            service: Some("regi\"stry".to_owned()),
        };
        assert_eq!(read(&["Basic realm=\"x\"", text]), Some(bearer));
        assert_eq!(read(&["basic realm=x"]), Some(Challenge::Basic));
        let bare = Challenge::Bearer { realm: "https://a.test".to_owned(), service: None };
        assert_eq!(read(&["bearer REALM=https://a.test"]), Some(bare));
    }

    #[test]
    fn a_challenge_that_nobody_can_answer_is_none() {
        for text in
            ["Negotiate", "Bearer", "Bearer service=\"x\"", "Bearer realm", "", "Bearer =,=,\""]
        {
            assert_eq!(read(&[text]), None, "{text}");
        }
    }
}
