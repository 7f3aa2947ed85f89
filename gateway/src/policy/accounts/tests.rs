//! Sessions over a real store: what they open, when they end, and how use is noted.

mod late;
mod line;

use super::*;
use crate::{
    model::Slug,
    policy::password::Asker,
    store::{PasswordChange, SqliteStore, UserStore as _},
};
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};
use std::net::{IpAddr, Ipv4Addr};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "several words that I remember";

fn hash_of(entered: &Entered) -> [u8; 32] {
    super::super::session::session_hash(entered.token.as_bytes()).unwrap()
}

struct World {
    folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    authenticator: Arc<Authenticator>,
    accounts: Arc<Accounts>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("portico.db")).await.unwrap());
        let sessions = SessionsConfig { idle_minutes: 60, absolute_hours: 2 };
        let authenticator = Arc::new(Authenticator::new(store.clone()).with_sessions(sessions.clone()));
        let sections = (&sessions, &PasswordsConfig::default(), &RegistrationConfig { mode: Mode::Open });
        let metrics = Metrics::new().unwrap();
        let accounts = Accounts::new(store.clone(), Arc::clone(&authenticator), sections, Vec::new(), &metrics);
        Self { folder, store, authenticator, accounts }
    }

    async fn register(&self, email: &str) -> Entered {
        let registration = Registration {
            email: Email::parse(email).unwrap(),
            password: Zeroizing::new(PASSWORD.to_owned()),
            name: "Anna".to_owned(),
            organization: ("Studio".to_owned(), crate::model::Slug::parse("studio").unwrap()),
        };
        self.accounts.register(registration, HERE).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    async fn login(&self, earlier: Option<&Entered>) -> Entered {
        let login = Login {
            email: Email::parse("anna@example.com").unwrap(),
            password: Zeroizing::new(PASSWORD.to_owned()),
            organization: None,
        };
        let earlier = earlier.map(hash_of);
        self.accounts.login(login, HERE, earlier).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Guesses at the password of this address from here, until whoever goes on must wait for minutes.
    async fn guess_at(&self, email: &str) {
        let kept = self.store.user_by_email(email).await.unwrap().map(|user| user.password);
        let mut wait: u32 = 0;
        tokio::time::pause();
        while wait < 120 {
            tokio::time::advance(Duration::from_secs(wait.into())).await;
            wait = self.accounts.backoff.begin(email, HERE, kept.as_deref()).err().unwrap_or_default();
        }
        tokio::time::resume();
    }

    /// What somebody is told who tries this password for Anna's.
    async fn told_for(&self, password: &str) -> &'static str {
        let (email, password) = (Email::parse("anna@example.com").unwrap(), Zeroizing::new(password.to_owned()));
        match self.accounts.login(Login { email, password, organization: None }, HERE, None).await {
            Ok(_) => "come in",
            Err(AccountError::WrongCredentials(_)) => "wrong",
            Err(AccountError::TooManyAttempts(wait) | AccountError::WrongWithinWait(_, wait)) if wait > 60 => "wait",
            Err(error) => panic!("{error:?}"),
        }
    }

    /// As the operator does it.
    async fn reset(&self, user: Uuid, password: &str) {
        let password = Zeroizing::new(password.to_owned());
        let kept = self.accounts.passwords.hash(Asker::stranger(HERE), password).await.unwrap();
        assert!(self.store.user_set_password(user, &kept, PasswordChange::Operator).await.unwrap());
    }

    /// Changes the database behind the gateway's back.
    async fn execute(&self, statement: &'static str) {
        let options = SqliteConnectOptions::new().filename(self.folder.path().join("portico.db"));
        let mut connection = options.connect().await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    }

    async fn principal(&self, entered: &Entered) -> Option<Arc<Principal>> {
        self.accounts.session(Some(entered.token.as_bytes())).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// A session of the same user that was begun and last used so many minutes ago.
    async fn earlier(&self, entered: &Entered, begun: i64, used: i64) -> (Zeroizing<String>, Uuid) {
        let Identity::User { user, session, .. } = &entered.profile.who else { panic!("a person") };
        let (token, hash) = super::super::session::mint_session().unwrap();
        let ago = |minutes: i64| clock::now().plus_millis(-minutes * 60_000);
        let created_at = ago(begun);
        let session = SessionRecord {
            id: Uuid::now_v7(),
            hash,
            created_at,
            seen_at: ago(used),
            expires_at: created_at.plus_millis(2 * 3_600_000),
            ..session.clone()
        };
        assert!(self.store.session_insert(&session, &user.password, 50).await.unwrap());
        (token, session.id)
    }
}

#[tokio::test]
async fn a_session_ends_by_idleness_and_by_age() {
    let world = World::new().await;
    let entered = world.register("anna@example.com").await;
    for (begun, used, holds) in [(0, 0, true), (100, 59, true), (100, 61, false), (119, 0, true), (121, 0, false)] {
        let (token, _) = world.earlier(&entered, begun, used).await;
        let found = world.authenticator.authenticate_session(token.as_bytes()).await;
        assert_eq!(found.is_ok(), holds, "begun {begun} min ago, used {used} min ago");
    }
}

#[tokio::test]
async fn a_user_has_fifty_sessions_and_another_login_ends_the_oldest() {
    let world = World::new().await;
    let entered = world.register("anna@example.com").await;
    let mut earlier = Vec::new();
    for begun in (1..50).rev() {
        earlier.push(world.earlier(&entered, begun, 0).await.1);
    }
    let is_kept = async |session: Uuid| world.store.session(session).await.unwrap().is_some();
    assert!(is_kept(earlier[0]).await, "fewer than fifty are kept");
    let last = world.login(None).await;
    assert!(!is_kept(earlier[0]).await && is_kept(earlier[1]).await);
    assert!(world.principal(&entered).await.is_some() && world.principal(&last).await.is_some());
}

#[tokio::test]
async fn use_is_noted_now_and_then_and_watching_is_no_use() {
    let world = World::new().await;
    let entered = world.register("anna@example.com").await;
    let seen = async |token: &str| {
        let hash = super::super::session::session_hash(token.as_bytes()).unwrap();
        world.store.session_by_hash(&hash).await.unwrap().unwrap().0.seen_at
    };
    let (token, _) = world.earlier(&entered, 50, 50).await;
    let before = seen(&token).await;
    let principal = world.authenticator.authenticate_session(token.as_bytes()).await.unwrap();
    let noted = seen(&token).await;
    assert!(before < noted);
    world.authenticator.forget();
    world.authenticator.authenticate_session(token.as_bytes()).await.unwrap();
    assert_eq!(seen(&token).await, noted, "use is written with every look-up");
    // A stream asks without having been used: it looks at the store itself, and the session still isn't noted.
    let (watching, _) = world.earlier(&entered, 50, 50).await;
    let hash = super::super::session::session_hash(watching.as_bytes()).unwrap();
    let record = world.store.session_by_hash(&hash).await.unwrap().unwrap();
    let quiet = super::super::session::principal(&record.0, record.1);
    assert!(world.authenticator.still_holds(&quiet).await.unwrap());
    assert_eq!(seen(&watching).await, record.0.seen_at);
    world.store.session_end(record.0.id).await.unwrap();
    assert!(!world.authenticator.still_holds(&quiet).await.unwrap());
    assert!(world.authenticator.still_holds(&principal).await.unwrap());
}

#[tokio::test]
async fn a_session_whose_use_cannot_be_written_opens_all_the_same() {
    let world = World::new().await;
    let entered = world.register("anna@example.com").await;
    let (token, id) = world.earlier(&entered, 50, 50).await;
    let seen = async |id: Uuid| world.store.session(id).await.unwrap().unwrap().0.seen_at;
    let enter = async |token: &str| {
        world.authenticator.forget();
        world.authenticator.authenticate_session(token.as_bytes()).await.is_ok()
    };
    let before = seen(id).await;
    world.execute("CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'the disk is full'); END").await;
    assert!(enter(&token).await && enter(&token).await);
    world.execute("DROP TRIGGER full").await;
    assert!(enter(&token).await);
    assert_eq!(seen(id).await, before, "a store that failed is asked again with each request");
    // Another's use is due.
    let (other, others) = world.earlier(&entered, 50, 50).await;
    let before = seen(others).await;
    assert!(enter(&other).await && seen(others).await > before);
}

#[tokio::test]
async fn what_is_revoked_here_ends_at_once() {
    let world = World::new().await;
    let entered = world.register("anna@example.com").await;
    let principal = world.principal(&entered).await.unwrap();
    // The look-up before would be trusted for seconds.
    world.accounts.logout(&principal).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert!(world.principal(&entered).await.is_none());

    let entered = world.login(None).await;
    let anna = world.principal(&entered).await.unwrap();
    let other = world.register("bert@example.com").await;
    let bert = world.principal(&other).await.unwrap();
    assert_ne!(anna.organization, bert.organization);
    let denied = world.accounts.delete_account(&anna).await.unwrap_err();
    let AccountError::Failed(denied) = denied else { panic!("{denied:?}") };
    assert_eq!(denied.code(), "sole_owner");
    for way in ["make another member one", "invites somebody", "asks the operator", "`portico user create`"] {
        assert!(denied.message.contains(way), "{denied:?}");
    }
    assert!(world.principal(&entered).await.is_some());
}

#[tokio::test]
async fn another_password_ends_other_sessions_at_once_whatever_becomes_of_the_own() {
    let world = World::new().await;
    let own = world.register("anna@example.com").await;
    let other = world.login(None).await;
    let principal = world.principal(&own).await.unwrap();
    // It was ended elsewhere meanwhile, so it can't go on with another secret.
    let (_, session) = person(&principal).unwrap();
    world.store.session_end(session).await.unwrap();
    assert!(world.principal(&other).await.is_some());
    let word = |text: &str| Zeroizing::new(text.to_owned());
    let change = world.accounts.change_password(&principal, word(PASSWORD), word("other words that I remember"), HERE);
    assert!(matches!(change.await, Err(AccountError::Ended)));
    assert!(world.principal(&other).await.is_none(), "a session that has ended still opens the door");
}

#[tokio::test]
async fn a_session_that_was_made_is_told_of_though_the_one_before_cannot_be_ended() {
    let world = World::new().await;
    let first = world.register("anna@example.com").await;
    world.execute("CREATE TRIGGER kept BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'kept'); END").await;
    let second = world.login(Some(&first)).await;
    assert!(world.principal(&second).await.is_some() && world.principal(&first).await.is_some());
    world.execute("DROP TRIGGER kept").await;
    let third = world.login(Some(&second)).await;
    assert!(world.principal(&third).await.is_some() && world.principal(&second).await.is_none());
}

#[tokio::test]
async fn within_a_wait_a_new_password_opens_and_a_wrong_one_tells_nothing() {
    const EMAIL: &str = "anna@example.com";
    const WRONG: &str = "a wrong password";
    let world = World::new().await;
    // There is no account yet; then it is made.
    world.guess_at(EMAIL).await;
    assert_eq!(world.told_for(WRONG).await, "wait");
    let entered = world.register(EMAIL).await;
    let Identity::User { user, .. } = &entered.profile.who else { panic!("a person") };
    assert_eq!(world.told_for(WRONG).await, "wait");
    assert_eq!(world.told_for(PASSWORD).await, "come in");
    assert_eq!(world.told_for(WRONG).await, "wrong", "success didn't end the wait");
    world.guess_at(EMAIL).await;
    assert_eq!(world.told_for(PASSWORD).await, "wait", "the password that was guessed at");
    world.reset(user.id, "other words that I remember").await;
    assert_eq!(world.told_for(WRONG).await, "wait");
    let line = world.accounts.passwords.fill(Asker::stranger(HERE));
    assert_eq!(world.told_for(WRONG).await, "wait", "a full line tells that there is another password");
    drop(line);
    assert_eq!(world.told_for("other words that I remember").await, "come in");
    // There are only so many attempts at it.
    world.guess_at(EMAIL).await;
    world.reset(user.id, PASSWORD).await;
    for _ in 0..5 {
        assert_eq!(world.told_for(WRONG).await, "wait");
    }
    assert_eq!(world.told_for(PASSWORD).await, "wait");
}

#[tokio::test]
async fn a_failed_login_stands_in_the_log_of_the_organization_that_it_named() {
    let world = World::new().await;
    let anna = world.register("anna@example.com").await;
    let bert = world.register("bert@example.com").await;
    // Anna joins Bert's after her own.
    world
        .execute(
            "INSERT INTO members (organization, user, role, created_at) SELECT m.organization, anna.id, 'viewer', \
             m.created_at + 60000 FROM members m JOIN users bert ON bert.id = m.user, users anna \
             WHERE bert.email_key = 'bert@example.com' AND anna.email_key = 'anna@example.com'",
        )
        .await;
    let Identity::User { user, .. } = &anna.profile.who else { panic!("a person") };
    let (own, joined) = (&anna.profile.organization, &bert.profile.organization);
    let elsewhere = Slug::parse("elsewhere").unwrap();
    for (named, expected) in [(Some(&own.slug), own), (Some(&joined.slug), joined), (None, joined), (Some(&elsewhere), joined)]
    {
        let found = world.accounts.organization_of(Some(user.id), named).await.unwrap();
        assert_eq!(found, Some(expected.id), "{named:?}");
    }
    assert_eq!(world.accounts.organization_of(None, Some(&own.slug)).await.unwrap(), None);
}
