//! Everybody of one organization: each role, by token and in a browser's session.
//!
//! In goes an organization's name, out come clients. Invariant: there is one of each role and kind, and nothing else of the
//! organization but what they came by: four tokens, and four members who were invited.

use portico_tests::{Api, Gateway};
use serde_json::json;

const ROLES: [&str; 4] = ["owner", "admin", "operator", "viewer"];

pub struct Asker {
    /// For messages.
    pub who: String,
    pub role: &'static str,
    pub api: Api,
}

impl Asker {
    fn by_token(gateway: &Gateway, organization: &str, role: &'static str) -> Self {
        let token = gateway.new_token_with(organization, &["--role", role]);
        Self { who: format!("the {role}'s token"), role, api: gateway.api.with_token(&token) }
    }

    async fn in_session(owner: &Api, organization: &str, role: &'static str) -> Self {
        let body = json!({"email": format!("{role}@{organization}.example.com"), "role": role});
        let invited = owner.post("/invitations", &body).await.is(201).json();
        let body = json!({"token": invited["token"], "password": "several words that I remember"});
        let entered = owner.post("/invitations/accept", &body).await.is(201);
        let (cookie, _) = entered.header("set-cookie").and_then(|given| given.split_once(';')).expect("a session");
        Self { who: format!("the {role}'s session"), role, api: owner.with_session(cookie) }
    }

    /// Tokens and invitations are for these.
    pub fn is_admin(&self) -> bool {
        matches!(self.role, "owner" | "admin")
    }
}

/// The first is an owner's token.
pub async fn everybody(gateway: &Gateway, organization: &str) -> Vec<Asker> {
    let mut all = Vec::from(ROLES.map(|role| Asker::by_token(gateway, organization, role)));
    let owner = all[0].api.clone();
    for role in ROLES {
        all.push(Asker::in_session(&owner, organization, role).await);
    }
    all
}
