"""/v1/files: large videos are sent once and asked about often."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, File, Form, Path, Request, UploadFile

from vl3.serve import answers
from vl3.serve.errors import ApiError
from vl3.serve.files import NoSuchFileError, StoredFile, StoreFullError
from vl3.serve.logs import facts
from vl3.serve.serving import Serving

FileId = Annotated[str, Path(max_length=200)]


def routes(serving: Serving) -> APIRouter:
    """The routes, for one server."""
    router = APIRouter()
    store = serving.files

    def described(owner: str, file: StoredFile) -> answers.FileObject:
        return answers.FileObject(
            id=file.id,
            bytes=file.bytes,
            created_at=file.created_at,
            expires_at=store.expires_at(owner, file.id),
            filename=file.filename,
            purpose=file.purpose,
        )

    @router.post("/v1/files", response_model=answers.FileObject, summary="Upload an image or a video")
    async def upload(
        request: Request,
        file: Annotated[UploadFile, File(description="the file itself")],
        purpose: Annotated[str, Form(max_length=100)] = "user_data",
    ) -> answers.FileObject:
        """Keeps a file for a time; its id comes from its content, so that the same file is kept once."""
        owner = facts(request.scope).owner
        name = (file.filename or "file")[-200:]
        try:
            stored = await anyio.to_thread.run_sync(store.save, owner, file.file, name, purpose)
        except StoreFullError as error:
            raise ApiError(413, str(error), code="quota_exceeded") from error
        return described(owner, stored)

    @router.get("/v1/files", response_model=answers.Files, summary="List the uploads")
    def list_files(request: Request) -> answers.Files:
        """The caller's uploads, oldest first."""
        owner = facts(request.scope).owner
        return answers.Files(data=[described(owner, file) for file in store.list(owner)])

    @router.get("/v1/files/{file_id}", response_model=answers.FileObject, summary="Describe an upload")
    def get_file(request: Request, file_id: FileId) -> answers.FileObject:
        """What is known of an upload."""
        owner = facts(request.scope).owner
        try:
            return described(owner, store.get(owner, file_id))
        except NoSuchFileError as error:
            raise ApiError(404, str(error), code="file_not_found") from error

    @router.delete("/v1/files/{file_id}", response_model=answers.Deleted, summary="Delete an upload")
    def delete_file(request: Request, file_id: FileId) -> answers.Deleted:
        """Deletes an upload before it expires."""
        try:
            store.delete(facts(request.scope).owner, file_id)
        except NoSuchFileError as error:
            raise ApiError(404, str(error), code="file_not_found") from error
        return answers.Deleted(id=file_id)

    return router
