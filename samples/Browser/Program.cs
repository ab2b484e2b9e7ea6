// The page calls Engine; there is nothing to do before.
return 0;
