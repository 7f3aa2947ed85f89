//! The line of those whose passwords are hashed: who is refused, and who isn't, while others hold as much of it as they get.
//!
//! Invariant: places are held for as long as a test wants, so nothing depends on how long a hash takes.

use super::*;
use crate::policy::password::Asker;

const FLOOD: &str = "2001:db8:1::1";

impl World {
    async fn login_from(&self, client: &str) -> Result<Entered, AccountError> {
        let login = Login {
            email: Email::parse("anna@example.com").unwrap(),
            password: Zeroizing::new(PASSWORD.to_owned()),
            organization: None,
        };
        self.accounts.login(login, client.parse().unwrap(), None).await
    }
}

fn is_overloaded<T>(outcome: Result<T, AccountError>) -> bool {
    matches!(outcome, Err(AccountError::Failed(error)) if error.kind == Kind::Overloaded && error.retry_after.is_some())
}

#[tokio::test]
async fn one_wide_network_takes_the_line_from_nobody_else() {
    let world = World::new().await;
    world.register("anna@example.com").await;
    let held = world.accounts.passwords.fill(Asker::stranger(FLOOD.parse().unwrap()));
    assert!(!held.is_empty());
    assert!(is_overloaded(world.login_from("2001:db8:1:ffff::1").await), "the flood's own network, of another /64");
    assert!(world.login_from("2001:db8:2::1").await.is_ok());
    drop(held);
    assert!(world.login_from("2001:db8:1:ffff::1").await.is_ok(), "it is over when it is over");
}

#[tokio::test]
async fn strangers_keep_nobody_who_is_signed_in_from_another_password() {
    let world = World::new().await;
    let own = world.register("anna@example.com").await;
    let principal = world.principal(&own).await.unwrap();
    // All that strangers get: this machine is exempt from a network's share.
    let _held = world.accounts.passwords.fill(Asker::stranger(HERE));
    assert!(is_overloaded(world.login_from("192.0.2.1").await));
    let word = |text: &str| Zeroizing::new(text.to_owned());
    let change = world.accounts.change_password(&principal, word(PASSWORD), word("other words that I remember"), HERE);
    assert!(change.await.is_ok());
}
