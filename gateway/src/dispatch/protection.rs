//! The label that protects a site from being deleted.
//!
//! In goes a site's id in whatever spelling its host takes, out comes leave to delete it, or the refusal. Invariant: leave ends
//! as soon as a label protects the site, and is asked about again until the deletion leaves. It doesn't change labels.

use super::{
    Connection, Dispatch, Freshness, StillAllowed,
    labels::{Shelf, whole},
};
use crate::{
    model::{Answer, Error, Kind, Labels, Query, ResourceId},
    store::PROTECTED,
};
use std::sync::Arc;

impl Dispatch {
    /// The id (native) by which a site is to be deleted; refuses a protected one, before anything is made of it.
    ///
    /// A host may take an id in another spelling (a UUID in capitals, a number with zeros), and labels are of its own: where
    /// there are any, it is asked.
    pub async fn deletable(self: &Arc<Self>, connection: &Arc<Connection>, site: &str) -> Result<String, Error> {
        refuse_protected(&connection.labels, &whole(&connection.record.slug, site))?;
        let (has_any, protects) = {
            let look = connection.labels.look();
            (!look.is_empty(), look.any(is_protected))
        };
        if !has_any {
            return Ok(site.to_owned());
        }
        // Where nothing is protected, nothing depends on the answer but which labels go with the site.
        let freshness = if protects { Freshness::Live } else { Freshness::Cached };
        let own = match self.own_id(connection, site, freshness).await {
            Err(_) if !protects => None,
            asked => asked?,
        };
        let Some(own) = own else { return Ok(site.to_owned()) };
        refuse_protected(&connection.labels, &own)?;
        Ok(ResourceId::parse(&own).map_or_else(|_| site.to_owned(), |own| own.native))
    }

    /// Leave to delete a site (native id) that was deletable when the operation was accepted, good until a label protects it.
    pub(super) async fn leave_to_delete(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        site: &str,
    ) -> Result<StillAllowed, Error> {
        let (shelf, given) = (Arc::clone(&connection.labels), whole(&connection.record.slug, site));
        refuse_protected(&shelf, &given)?;
        let protects = shelf.look().any(is_protected);
        if !protects {
            let still: StillAllowed = Box::new(move || refuse_protected(&shelf, &given).and_then(|()| refuse_unasked(&shelf)));
            return Ok(still);
        }
        // Spellings don't change, so an old answer will do.
        let own = self.own_id(connection, site, Freshness::Cached).await?.unwrap_or(given);
        refuse_protected(&shelf, &own)?;
        Ok(Box::new(move || refuse_protected(&shelf, &own)))
    }

    /// The site's whole id as its host spells it; none where there is no such site, as the deletion says itself, or where no
    /// site can be read, so that none was ever asked for by another name.
    async fn own_id(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        site: &str,
        freshness: Freshness,
    ) -> Result<Option<String>, Error> {
        match self.query(connection, Query::SitesGet { site: site.to_owned() }, freshness).await {
            Ok(found) => match &found.answer {
                Answer::Site(site) => Ok(Some(site.id.clone())),
                _ => Err(Error::gateway("a query was answered by another kind of answer")),
            },
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Unsupported) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_protected(labels: &Labels) -> bool {
    labels.get(PROTECTED).is_some_and(|value| value != "false")
}

/// `site` is a whole id.
fn refuse_protected(shelf: &Shelf, site: &str) -> Result<(), Error> {
    if !shelf.of(site).is_some_and(|labels| is_protected(&labels)) {
        return Ok(());
    }
    let text = format!(
        "the site has the label {PROTECTED}: to delete it, lift the protection first, with PATCH /api/v1/sites/{site} and \
         {{\"labels\": {{\"{PROTECTED}\": null}}}}"
    );
    Err(Error::new(Kind::Conflict, text).with_code(PROTECTED))
}

/// Something is protected since leave was given without asking how the host spells the id: the next try asks.
fn refuse_unasked(shelf: &Shelf) -> Result<(), Error> {
    if !shelf.look().any(is_protected) {
        return Ok(());
    }
    Err(Error::overloaded("a site was just protected, and it has to be found out which one"))
}
