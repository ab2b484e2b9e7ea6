Console.WriteLine("verbs: parity, tokens");
