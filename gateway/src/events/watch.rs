//! One watcher: its position in the log, and what comes next for it.
//!
//! In go a topic and perhaps the last event that the client saw; out comes news, one at a time. Invariant: the position only
//! grows, and an event at or before it is never given again; a gap that can't be filled any more is told as a reset.

use super::{
    Event, Events, Filter, PAGE, Topic,
    places::{Place, Receiver},
};
use crate::{
    model::{Error, Kind, OperationId, OrganizationId},
    store::{EventRecord, EventSubject},
};
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

pub enum News {
    Event(Arc<Event>),
    /// Events that the client didn't see are gone: it has to look by itself, and goes on from this position.
    Reset(i64),
    /// Nothing for a while; this is how far the client has seen everything.
    Silence(i64),
}

pub struct Watch {
    // Before the place, whose end looks whether the channel is still used.
    receiver: Receiver,
    _place: Place,
    hub: Arc<Events>,
    ended: CancellationToken,
    topic: Topic,
    filter: Filter,
    /// Everything up to here was given or isn't wanted.
    position: i64,
    backlog: VecDeque<Arc<Event>>,
    /// There is more in the store.
    behind: bool,
    /// To be told before everything else.
    reset: bool,
    /// Nothing comes after the backlog.
    finished: bool,
    /// When the client should hear something.
    due: Instant,
}

impl Watch {
    pub(super) fn new(
        hub: Arc<Events>,
        (receiver, place, ended): (Receiver, Place, CancellationToken),
        topic: Topic,
        filter: Filter,
    ) -> Self {
        let due = Instant::now() + hub.heartbeat;
        Self {
            receiver,
            _place: place,
            hub,
            ended,
            topic,
            filter,
            position: 0,
            backlog: VecDeque::new(),
            behind: false,
            reset: false,
            finished: false,
            due,
        }
    }

    /// Where the client has seen everything, before the first news.
    pub const fn position(&self) -> i64 {
        self.position
    }

    /// There is nothing to tell, and never will be.
    pub fn is_over(&self) -> bool {
        self.finished && self.backlog.is_empty() && !self.behind && !self.reset
    }

    /// Takes the position. Called after the place was taken: what is committed from then on comes through the channel.
    pub(super) async fn begin(&mut self, since: Option<i64>) -> Result<(), Error> {
        match (since, self.topic.clone()) {
            (Some(since), Topic::Organization(_)) => {
                self.position = since;
                self.catch_up().await
            }
            (None, Topic::Organization(_)) => {
                self.position = *self.hub.store.events_written().borrow();
                Ok(())
            }
            (None, Topic::Operation(organization, id)) => self.present(organization, &id).await,
            (Some(since), Topic::Operation(organization, id)) => {
                let (operation, _) = self.find(organization, &id).await?;
                self.finished = operation.status.is_terminal();
                self.position = since;
                while self.catch_up().await.map(|()| self.finished && self.behind)? {}
                Ok(())
            }
        }
    }

    async fn find(&self, organization: OrganizationId, id: &OperationId) -> Result<(crate::model::Operation, i64), Error> {
        let found = self.hub.store.operation_at_event(organization, id).await?;
        found.ok_or_else(|| Error::new(Kind::NotFound, "there is no such operation"))
    }

    /// Tells the operation as it is.
    async fn present(&mut self, organization: OrganizationId, id: &OperationId) -> Result<(), Error> {
        let (operation, position) = self.find(organization, id).await?;
        self.finished = operation.status.is_terminal();
        self.position = position;
        let record = EventRecord {
            id: position,
            organization,
            at: operation.updated_at,
            connection: operation.connection.clone(),
            subject: EventSubject::Operation(Box::new(operation)),
        };
        self.backlog.push_back(self.hub.event(&record)?);
        Ok(())
    }

    /// Takes a page from the store into the backlog.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let page = self.hub.store.events(&self.topic.scope(), self.position, PAGE).await?;
        // Asked afterwards: what was there then was there before.
        let span = self.hub.store.events_span().await?;
        self.behind = page.len() >= PAGE as usize;
        if !span.follows(self.position) {
            return self.start_over(span.last).await;
        }
        for record in page {
            self.position = record.id;
            let event = self.hub.event(&record)?;
            if self.filter.keeps(&event) {
                self.backlog.push_back(event);
            }
        }
        Ok(())
    }

    async fn start_over(&mut self, last: i64) -> Result<(), Error> {
        (self.reset, self.behind, self.position) = (true, false, last);
        match self.topic.clone() {
            Topic::Organization(_) => Ok(()),
            Topic::Operation(organization, id) => self.present(organization, &id).await,
        }
    }

    /// What the client is to hear next. None: the stream ends.
    pub async fn next(&mut self) -> Option<News> {
        let ended = self.ended.clone();
        let news = tokio::select! {
            biased;
            () = ended.cancelled() => None,
            news = self.await_news() => news,
        };
        self.due = Instant::now() + self.hub.heartbeat;
        news
    }

    async fn await_news(&mut self) -> Option<News> {
        loop {
            if std::mem::take(&mut self.reset) {
                return Some(News::Reset(self.position));
            }
            if let Some(event) = self.backlog.pop_front() {
                return Some(self.give(event));
            }
            if self.behind {
                if let Err(error) = self.catch_up().await {
                    tracing::warn!(%error, internal = error.internal, "a stream of events could not go on");
                    return None;
                }
                continue;
            }
            if self.finished {
                return None;
            }
            if let Some(news) = self.live().await? {
                return Some(news);
            }
        }
    }

    /// `Some(None)`: nothing that is wanted.
    async fn live(&mut self) -> Option<Option<News>> {
        // Before the channel is found empty, so that nothing up to it can still be on its way.
        let delivered = self.hub.delivered.load(Ordering::Acquire);
        let received = tokio::select! {
            biased;
            received = self.receiver.recv() => received,
            () = sleep_until(self.due) => {
                if self.receiver.is_empty() {
                    self.position = self.position.max(delivered);
                }
                return Some(Some(News::Silence(self.position)));
            }
        };
        match received {
            Ok(event) if event.id <= self.position => Some(None),
            Ok(event) => {
                self.position = event.id;
                Some(self.filter.keeps(&event).then(|| self.give(event)))
            }
            Err(RecvError::Lagged(_)) => {
                self.behind = true;
                Some(None)
            }
            Err(RecvError::Closed) => None,
        }
    }

    fn give(&mut self, event: Arc<Event>) -> News {
        self.finished |= event.last_of_operation && matches!(self.topic, Topic::Operation(..));
        News::Event(event)
    }
}
