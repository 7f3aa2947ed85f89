//! What belongs to the organization: bills, connections, tokens, providers, operations.

use crate::{
    api::{
        answer, audit, billing, connections, events, operations, providers,
        spec::{
            Cursors::{Keys, None as Whole, Pinned},
            Endpoint, delete, get, patch, post,
        },
        tokens,
    },
    model::{Invoice, Subscription},
};

pub fn endpoints() -> Vec<Endpoint> {
    [bills(), connections(), tokens(), providers(), operations(), log()].into_iter().flatten().collect()
}

fn bills() -> Vec<Endpoint> {
    vec![
        get("/billing/subscription", "billing.subscription", billing::subscription, "A connection's subscription")
            .details("`connection` may be left out when only one has bills.")
            .query::<billing::Parameters>()
            .resource::<Subscription>(),
        get("/billing/invoices", "billing.invoices", billing::invoices, "A connection's invoices")
            .query::<billing::ListParameters>()
            .list::<Invoice>(Pinned),
        post("/billing/checkout", "billing.checkout", billing::checkout, "A page where the customer pays for a plan")
            .body::<billing::CheckoutBody>(r#"{"connection": "sandbox", "plan": "agency"}"#)
            .kept::<billing::CheckoutView>(200),
        get("/billing/usage", "billing.usage", billing::usage, "Usage, summed over all connections")
            .details("Only usage is summed, and money never is: currencies and contracts differ.")
            .query::<billing::Parameters>()
            .resource::<billing::UsageView<'static>>(),
    ]
}

fn connections() -> Vec<Endpoint> {
    vec![
        get("/connections", "connections.list", connections::list, "Connections of the organization")
            .query::<connections::ListParameters>()
            .list::<connections::View<'static>>(Keys),
        post("/connections", "connections.create", connections::create, "Connect a hosting system")
            .details("What `settings` and `secrets` hold, the provider's page says. Secrets go in and never come out.")
            .body::<connections::CreateBody>(
                r#"{"id": "test", "provider": "sandbox", "name": "Test", "settings": {"work_seconds": 1}}"#,
            )
            .kept::<connections::View<'static>>(201),
        get("/connections/{connection}", "connections.get", connections::get, "One connection, with what it can do")
            .resource::<connections::View<'static>>(),
        patch("/connections/{connection}", "connections.update", connections::update, "Change a connection")
            .details("A secret is bound to where it goes: change that, and the secret must be given again.")
            .optional_body::<connections::UpdateBody>(r#"{"name": "Test host"}"#)
            .kept::<connections::View<'static>>(200),
        delete("/connections/{connection}", "connections.delete", connections::delete, "Forget a connection")
            .details(
                "Sites at the host stay as they are, and their labels go. Refused while operations run (`operations_running`) or a site \
                 has the label `protected` (`protected`), unless `force` is true: `detail` names those.",
            )
            .query::<connections::DeleteParameters>()
            .nothing(),
        post("/connections/{connection}/test", "connections.test", connections::test, "Say what works and what fails")
            .kept::<connections::TestReport>(200),
    ]
}

fn tokens() -> Vec<Endpoint> {
    vec![
        get("/tokens", "tokens.list", tokens::list, "Tokens of the organization")
            .query::<tokens::ListParameters>()
            .list::<tokens::View<'static>>(Keys),
        post("/tokens", "tokens.create", tokens::create, "Make a token")
            .details(
                "`token` is its value, and it is shown this once. What is left out is as with the token that makes it; no token can be \
                 given more than its maker has.",
            )
            .body::<tokens::CreateBody>(
                r#"{"name": "Nightly backups", "role": "operator", "scopes": ["sites:read", "backups:write", "operations:read"]}"#,
            )
            .kept::<tokens::NewView<'static>>(201),
        get("/tokens/{token}", "tokens.get", tokens::get, "One token").resource::<tokens::View<'static>>(),
        delete("/tokens/{token}", "tokens.delete", tokens::delete, "Revoke a token")
            .details("At once, its streams of events included; behind other gateways of the same store within five seconds.")
            .nothing(),
        post("/tokens/{token}/rotate", "tokens.rotate", tokens::rotate, "Give a token a new value")
            .details("`token` is the new value, shown this once. Two values are good at the most: who rotates again ends the oldest.")
            .optional_body::<tokens::RotateBody>(r#"{"overlap_seconds": 3600}"#)
            .kept::<tokens::NewView<'static>>(200),
    ]
}

fn providers() -> Vec<Endpoint> {
    vec![
        get("/providers", "providers.list", providers::list, "Providers that are loaded")
            .list::<providers::View<'static>>(Whole),
        get("/providers/{provider}", "providers.get", providers::get, "One provider: its settings, secrets, interfaces")
            .resource::<providers::View<'static>>(),
    ]
}

fn operations() -> Vec<Endpoint> {
    vec![
        get("/operations", "operations.list", operations::list, "Operations, the newest first")
            .query::<operations::ListParameters>()
            .progress_list::<answer::View<'static>>(),
        get("/operations/{operation}", "operations.get", operations::get, "One operation; `wait` for its end")
            .details("Whoever began it may read it without the scope to read operations.")
            .query::<operations::GetParameters>()
            .progress::<answer::View<'static>>(),
        post(
            "/operations/{operation}/cancel",
            "operations.cancel",
            operations::cancel,
            "Stop an operation, where that can be done",
        )
        .details("200 when it was canceled at once, 202 when the host was asked to stop it.")
        .canceled::<answer::View<'static>>(),
        get("/operations/{operation}/events", "operations.events", events::of_operation, "Watch one operation to its end")
            .details("Begins with the operation as it is, and closes after the event that ends it.")
            .events(),
        get("/events", "events.watch", events::of_organization, "Watch everything of the organization")
            .details(
                "`operation.updated` and `connection.health`. Send the last id as `Last-Event-ID` and nothing is lost; \
                 `event: reset` says that too much happened meanwhile, so list again.",
            )
            .query::<events::Parameters>()
            .events(),
    ]
}

fn log() -> Vec<Endpoint> {
    vec![
        get("/audit", "audit.list", audit::list, "Who changed what, the newest first")
            .details(
                "Every change, those that may have been made though their answer was lost, and what became of each operation; every \
                 download of a backup, and who was shown what is shown once (`operations.secrets`); every change or download that \
                 the caller may not make (403), every token that came from outside its `allowed_ips`, every deletion that the label \
                 `protected` stopped (409), and every wrong password for an account that exists. Of equal refusals of one caller \
                 from one address one a minute is told, of many addresses sixteen, but of failed logins each. Not in it is what was refused for any other reason: its form, what it is about, a conflict, \
                 a rate, or a credential that opens nothing. Rows are chained by a keyed hash: `portico audit verify` finds one \
                 that was altered, put in or taken out.",
            )
            .query::<audit::ListParameters>()
            .progress_list::<audit::View<'static>>(),
    ]
}
