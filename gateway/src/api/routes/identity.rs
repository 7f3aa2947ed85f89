//! People: logging in and out, accounts, members and invitations.

use crate::api::{
    auth, members,
    spec::{Cursors::Keys, Endpoint, delete, get, patch, post},
};

pub fn endpoints() -> Vec<Endpoint> {
    [sessions(), account(), organization()].into_iter().flatten().collect()
}

fn sessions() -> Vec<Endpoint> {
    vec![
        post("/auth/register", "auth.register", auth::register, "Make an account, and an organization that it owns")
            .details(
                "Where the operator opened registration; elsewhere accounts are made by invitation. Logs in: the session is in the \
                 cookie.",
            )
            .body::<auth::RegisterBody>(
                r#"{"email": "anna@example.com", "password": "several words that I remember", "organization": "Studio Anna"}"#,
            )
            .kept::<auth::View<'static>>(201)
            .open(),
        post("/auth/login", "auth.login", auth::login, "Log in with a password")
            .details(
                "Sets the session's cookie, `portico_session`, or `__Host-portico_session` over TLS: `HttpOnly`, `SameSite=Lax`. \
                 After five failures the same address and account wait, longer each time.",
            )
            .body::<auth::LoginBody>(r#"{"email": "anna@example.com", "password": "several words that I remember"}"#)
            .kept::<auth::View<'static>>(200)
            .open(),
        post("/auth/logout", "auth.logout", auth::logout, "End the session").nothing(),
        post("/auth/refresh", "auth.refresh", auth::refresh, "Give the session another cookie")
            .details("The old one opens nothing from then on. With `organization` the session goes on in that one.")
            .optional_body::<auth::RefreshBody>(r#"{"organization": "studio-anna"}"#)
            .kept::<auth::View<'static>>(200),
        get("/auth/me", "auth.me", auth::me, "Who the session or the token belongs to").resource::<auth::View<'static>>(),
    ]
}

fn account() -> Vec<Endpoint> {
    vec![
        patch("/auth/password", "auth.password", auth::change_password, "Change the own password")
            .details("All other sessions of the user end, and this one has another cookie.")
            .body::<auth::PasswordBody>(
                r#"{"current": "several words that I remember", "password": "other words that I remember"}"#,
            )
            .kept::<auth::View<'static>>(200),
        delete("/account", "account.delete", auth::delete_account, "Delete the own account")
            .details(
                "The only owner of an organization can't go: make another member an owner first. Who is alone in it invites \
                 somebody, or asks the operator, who makes an owner.",
            )
            .nothing(),
    ]
}

fn organization() -> Vec<Endpoint> {
    vec![
        get("/members", "members.list", members::list, "Members of the organization")
            .query::<members::ListParameters>()
            .list::<members::View<'static>>(Keys),
        patch("/members/{member}", "members.update", members::update, "Give a member another role")
            .details(
                "Up to your own, and of members up to your own. It ends the member's sessions in the organization; your own has \
                 another cookie.",
            )
            .body::<members::UpdateBody>(r#"{"role": "operator"}"#)
            .kept::<members::View<'static>>(200),
        delete("/members/{member}", "members.delete", members::delete, "Take a member out of the organization")
            .details(
                "Somebody who is in no other organization has no account from then on. Tokens are the organization's: those that the \
                 member made stay good, unless `revoke_tokens` is true. That can't be made up for: whoever removes a member without \
                 it must look for `user:` with their id in the tokens' `created_by`, and for `token:` with the ids of those. A token \
                 that the member only rotated keeps the `created_by` that it had, so it isn't among them.",
            )
            .query::<members::DeleteParameters>()
            .nothing(),
        get("/invitations", "invitations.list", members::invitations, "Invitations that are open")
            .query::<members::ListParameters>()
            .list::<members::InvitationView<'static>>(Keys),
        post("/invitations", "invitations.create", members::invite, "Invite somebody")
            .details(
                "The answer has the `token` and a `link` with it, once: hand one to the person. It is good for seven days, for that address and for one \
                 use; another invitation to the same address takes its place.",
            )
            .body::<members::InviteBody>(r#"{"email": "bert@example.com", "role": "operator"}"#)
            .kept::<members::InvitationView<'static>>(201),
        delete("/invitations/{invitation}", "invitations.delete", members::withdraw, "Withdraw an invitation").nothing(),
        post("/invitations/accept", "invitations.accept", auth::accept, "Accept an invitation")
            .details(
                "With a `password`: makes the account and logs in. Without one: the logged-in user joins, and the session goes on \
                 in that organization.",
            )
            .body::<auth::AcceptBody>(
                r#"{"token": "pti_the-token-of-the-invitation", "password": "several words that I remember", "name": "Bert"}"#,
            )
            .kept::<auth::View<'static>>(201)
            .open(),
    ]
}
