"""`rspipe corpus browse`: one page to look through a corpus, tile by tile."""
