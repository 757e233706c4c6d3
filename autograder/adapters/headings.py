"""Which column of a class list is which, in any language Moodle uses."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
NUMBERED = re.compile(r"(\D+?)\s*([0-9]+)")  # "Participant 101", "Teilnehmer/in101"
DATED = re.compile(r"(.+) \(.+\)")  # "Last modified (submission)", "Zuletzt geändert (Abgabe)"

# Moodle's English headings, in lower case, and the same in other languages (lang/*/moodle.php, assign.php).
WORDS = {
    "username": (
        *("anmeldename", "nom d'utilisateur", "nom d’utilisateur", "nombre de usuario", "gebruikersnaam", "login"),
        *("nome de utilizador", "nome de usuário", "identificação de usuário", "nome utente", "nom d'usuari"),
        *("nazwa użytkownika", "användarnamn", "brukernavn", "brugernavn", "käyttäjätunnus", "kullanıcı adı", "логин"),
    ),
    "id number": (
        *("idnumber", "id-nummer", "numéro d'identification", "numéro d’identification", "número de id", "numer id"),
        *("número de identificação", "número de identificación", "codice identificativo", "número id", "número d'id"),
        *("matrikelnummer", "id-numero", "kimlik numarası", "numéro id", "id 号"),
    ),
    "email address": (
        *("email", "e-mail", "e-mail address", "e-mail-adresse", "adresse de courriel", "adresse e-mail", "mail"),
        *("dirección de correo", "dirección de correo electrónico", "correo electrónico", "dirección email"),
        *("indirizzo email", "e-mailadres", "endereço de e-mail", "endereço de email", "adreça electrònica"),
    ),
    "first name": ("vorname", "prénom", "nombre", "nome", "voornaam", "imię", "förnamn", "fornavn", "nom"),
    "last name": (
        *("nachname", "nom de famille", "apellido(s)", "apellidos", "apellido", "cognome", "achternaam", "apelido"),
        *("sobrenome", "nazwisko", "efternamn", "etternavn", "cognoms"),
    ),
    "full name": (
        *("vollständiger name", "nom complet", "nombre completo", "nome completo", "volledige naam", "name"),
        *("fullständigt namn", "imię i nazwisko", "nome e cognome", "vor- und nachname", "fullt navn"),
    ),
    "groups": ("gruppen", "gruppe", "groupes", "groupe", "grupos", "grupo", "gruppi", "gruppo", "groepen", "grupy"),
}


def plain(heading: str) -> str:
    """A heading in the form used for comparison."""
    return " ".join(unicodedata.normalize("NFC", heading).casefold().split())


def columns(header: Sequence[str], lines: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The file's columns by their own headings in lower case, and by Moodle's English ones where known.

    Addresses and participants' numbers are recognised by the cells' contents, the rest by words. "nom" is the last name
    in French, where there is a "prénom", and the first name in Catalan.
    """
    found = {plain(c): c for c in reversed(header)}
    for ours, words in WORDS.items():
        if word := next((w for w in words if w in found), None):
            found.setdefault(ours, found[word])
    if "prénom" in found and "nom" in found:
        found |= {"first name": found["prénom"], "last name": found["nom"]}
    for column in header:
        cells = [c for line in lines if (c := line[column])]
        if cells and all(map(ADDRESS.fullmatch, cells)):
            found.setdefault("email address", column)
    if header and "identifier" not in found:
        cells = [NUMBERED.fullmatch(line[header[0]]) for line in lines]
        if cells and all(cells) and len({m[1] for m in cells}) == 1 and when(header):
            found["identifier"] = header[0]
    return found


def when(header: Sequence[str]) -> str | None:
    """The column of a grading worksheet with the submission time: the first of the two with similar names."""
    begun = [m[1] if (m := DATED.fullmatch(c)) else "" for c in header]
    return next((c for i, c in enumerate(header) if begun[i] and begun.count(begun[i]) == 2), None)


def number(cell: str) -> str:
    """Moodle's number of a participant."""
    found = NUMBERED.fullmatch(cell)
    return found[2] if found else cell


def only(path: object, header: Sequence[str], used: Sequence[str]) -> None:
    """ValueError if a column that is used occurs twice; others do not matter."""
    headings = [plain(c) for c in header]
    if twice := next((c for c in used if headings.count(plain(c)) > 1), None):
        raise ValueError(f"{path} has two columns '{twice}'; keep one")
