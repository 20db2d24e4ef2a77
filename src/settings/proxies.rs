//! Proxies as other tools have them.

use super::Environment;
use super::apt_conf::AptConfiguration;
use super::pip::PipConfiguration;
use crate::address::Address;

/// What to go through to reach a network; each is a URL with credentials if it needs any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http` URLs.
    pub http: Option<Address>,
    /// For `https` URLs.
    pub https: Option<Address>,
    /// Hosts that are reached without one, in the form that curl takes.
    pub none_for: Option<String>,
}

impl Proxies {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` in either case.
    pub(super) fn of(environment: &Environment) -> Self {
        let either = |lower: &str, upper: &str| {
            environment.variable(lower).or_else(|| environment.variable(upper))
        };
        let address = |lower, upper| either(lower, upper).map(Address::from);
        let all = address("all_proxy", "ALL_PROXY");
        Self {
            http: address("http_proxy", "HTTP_PROXY").or_else(|| all.clone()),
            https: address("https_proxy", "HTTPS_PROXY").or(all),
            none_for: either("no_proxy", "NO_PROXY").map(str::to_owned),
        }
    }

    /// With `PIP_PROXY`, else `proxy` of pip's configuration, for what the environment leaves open.
    pub(super) fn or_pips(self, environment: &Environment, pip: &PipConfiguration) -> Self {
        let named = environment.variable("PIP_PROXY").or(pip.value("proxy").map(|(url, _)| url));
        let named = named.map(|url| match url.contains("://") {
            true => Address::from(url),
            false => format!("http://{url}").into(),
        });
        Self {
            http: self.http.or_else(|| named.clone()),
            https: self.https.or(named),
            none_for: self.none_for,
        }
    }

    /// With what apt is configured with in place of what the environment says; `DIRECT` is apt's
    /// word for none, and a host may have it alone.
    pub(super) fn under_apts(self, apt: &AptConfiguration) -> Self {
        let is_none = |value: &str| value.eq_ignore_ascii_case("direct");
        let value = |key: &str| apt.value(key).map(str::to_owned);
        let http = value("acquire::http::proxy");
        // What is set for `http` holds for `https`, too, where nothing else is set.
        let https = value("acquire::https::proxy").or_else(|| http.clone());
        let chosen = |said: Option<String>, environment: Option<Address>| match said {
            Some(value) if is_none(&value) => None,
            Some(value) => Some(value.into()),
            None => environment,
        };
        let hosts = ["acquire::http::proxy", "acquire::https::proxy"];
        let hosts = hosts.iter().flat_map(|key| apt.below(key));
        let direct = hosts.filter(|(_, value)| is_none(value)).map(|(host, _)| host.to_owned());
        let none_for: Vec<_> = self.none_for.into_iter().chain(direct).collect();
        Self {
            http: chosen(http, self.http),
            https: chosen(https, self.https),
            none_for: (!none_for.is_empty()).then(|| none_for.join(",")),
        }
    }
}
