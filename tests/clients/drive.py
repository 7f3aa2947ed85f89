"""Drives the API through the Python client that was generated from its document: create, wait, list, back up, delete.

Takes the API's address and a token from the environment (PORTICO, TOKEN). Ends with 1 at the first thing that isn't as it should be.
"""

import os

from portico_client import AuthenticatedClient
from portico_client.api.backups import backups_create, backups_list
from portico_client.api.operations import operations_get
from portico_client.api.sites import sites_create, sites_delete, sites_get, sites_list
from portico_client.models import BackupCreate, Operation, OperationStatus, Problem, SiteCreate

client = AuthenticatedClient(base_url=os.environ["PORTICO"], token=os.environ["TOKEN"], timeout=90)


def finished(operation: Operation | Problem | None) -> Operation:
    assert isinstance(operation, Operation), operation
    while operation.status in (OperationStatus.QUEUED, OperationStatus.RUNNING):
        operation = operations_get.sync(operation.id, client=client, wait="30s")
        assert isinstance(operation, Operation), operation
    assert operation.status == OperationStatus.SUCCEEDED, operation
    return operation


created = sites_create.sync(client=client, body=SiteCreate(connection="sandbox", name="By Python"), prefer="respond-async")
site = finished(created).result["id"]
listed = sites_list.sync(client=client, name="by python")
assert [one.id for one in listed.data] == [site] and listed.total == 1, listed
finished(backups_create.sync(site, client=client, body=BackupCreate(description="By Python")))
backups = backups_list.sync(site, client=client)
assert [one.description for one in backups.data] == ["By Python"], backups
finished(sites_delete.sync(site, client=client))
gone = sites_get.sync(site, client=client)
assert isinstance(gone, Problem) and (gone.status, gone.code) == (404, "not_found"), gone
print("python: done")
