//! Proxies as other tools have them.

use super::Environment;

/// What to go through to reach a network; each is a URL with credentials if it needs any.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http` URLs.
    pub http: Option<String>,
    /// For `https` URLs.
    pub https: Option<String>,
    /// Hosts that are reached without one, in the form that curl takes.
    pub none_for: Option<String>,
}

impl Proxies {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` in either case.
    pub(super) fn of(environment: &Environment) -> Self {
        let either = |lower: &str, upper: &str| {
            environment.variable(lower).or_else(|| environment.variable(upper)).map(str::to_owned)
        };
        let all = either("all_proxy", "ALL_PROXY");
        Self {
            http: either("http_proxy", "HTTP_PROXY").or_else(|| all.clone()),
            https: either("https_proxy", "HTTPS_PROXY").or(all),
            none_for: either("no_proxy", "NO_PROXY"),
        }
    }
}

impl std::fmt::Debug for Proxies {
    /// A proxy's URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("none_for", &self.none_for)
            .finish()
    }
}
