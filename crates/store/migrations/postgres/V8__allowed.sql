-- Whom a peer lets leave files with it, and have it fetch some: nobody, unless it says so.
ALTER TABLE peers ADD COLUMN uploads TEXT NOT NULL DEFAULT '';
ALTER TABLE peers ADD COLUMN loads TEXT NOT NULL DEFAULT '';
